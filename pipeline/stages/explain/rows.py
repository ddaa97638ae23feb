"""Which test rows are explained: the surest errors, and a sample to judge the methods by."""

import numpy as np
import pandas as pd

from pipeline.attribution.words import spans
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


def tested(paths: Paths) -> pd.DataFrame:
    """The test rows with what the model answered: ``id, text, label, predicted, confidence, wrong``, ordered by id."""
    path = paths.data("evaluate") / "predictions.parquet"
    if not path.exists():
        raise UserError(f"{path}: expected the output of evaluate, found no such file; run `dvc repro`")
    texts = table.read(paths.data("ingest") / "test.parquet")[["id", "text"]]
    answers = pd.read_parquet(path, columns=["id", "label", "predicted", "confidence"])
    if set(texts["id"]) != set(answers["id"]):
        raise UserError(f"{path}: expected a prediction for each row of the test split, found others; rerun evaluate")
    rows = texts.merge(answers, on="id", validate="one_to_one").sort_values("id", ignore_index=True)
    return rows.assign(wrong=rows["label"].ne(rows["predicted"]))


def surest_errors(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` errors of highest confidence."""
    wrong = rows[rows["wrong"]].sort_values(["confidence", "id"], ascending=[False, True])
    return wrong.head(count).reset_index(drop=True)


def sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """``count`` drawn rows, as evenly over the predicted classes as these allow.

    Texts of one word are left out: no ranking of it can be wrong.
    """
    rows = rows[[len(spans(text)) > 1 for text in rows["text"]]]
    if rows.empty:
        raise UserError("explain: expected test rows of two words and more to judge the methods by, found none")
    drawn = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    turn = drawn.groupby("predicted").cumcount().to_numpy()  # the first of each class, then the second of each
    return drawn.iloc[np.argsort(turn, kind="stable")[:count]].sort_values("id", ignore_index=True)
