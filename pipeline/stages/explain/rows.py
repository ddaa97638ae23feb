"""The test rows that are explained: the surest errors, and a sample on which the methods are measured."""

import numpy as np
import pandas as pd

from pipeline.attribution.words import word_spans
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


def read_test_rows(paths: Paths) -> pd.DataFrame:
    """The test rows with their predictions: ``id, text, label, predicted, confidence, reason, wrong``, ordered by id.

    Raises UserError if evaluate has not run, or has run on another test split.
    """
    path = paths.data("evaluate") / "predictions.parquet"
    if not path.exists():
        raise UserError(f"{path}: expected the output of evaluate, found no such file; run `dvc repro`")
    texts = table.read(paths.data("ingest") / "test.parquet")[["id", "text"]]
    predictions = pd.read_parquet(path, columns=["id", "label", "predicted", "confidence", "reason"])
    if set(texts["id"]) != set(predictions["id"]):
        raise UserError(f"{path}: expected a prediction for each row of the test split, found others; rerun evaluate")
    rows = texts.merge(predictions, on="id", validate="one_to_one").sort_values("id", ignore_index=True)
    return rows.assign(wrong=rows["label"].ne(rows["predicted"]))


def surest_errors(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` errors with the highest confidence."""
    wrong = rows[rows["wrong"]].sort_values(["confidence", "id"], ascending=[False, True])
    return wrong.head(count).reset_index(drop=True)


def draw_sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """``count`` random rows, spread over the predicted classes as evenly as possible.

    Texts of one word are left out: they have a single ranking. Raises UserError if no text has two words.
    """
    rows = rows[[len(word_spans(text)) > 1 for text in rows["text"]]]
    if rows.empty:
        raise UserError("explain: expected test rows of two words and more to judge the methods by, found none")
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    turn = shuffled.groupby("predicted").cumcount().to_numpy()  # the first of each class, then the second of each
    return shuffled.iloc[np.argsort(turn, kind="stable")[:count]].sort_values("id", ignore_index=True)
