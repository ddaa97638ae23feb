"""The stage itself: predictions of the test rows and augmented rows in, tables by group out."""

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics, Paths, replace
from pipeline.metrics import group_metrics
from pipeline.models import classifier
from pipeline.stages.fairness import auc, augmentations
from pipeline.text import identity


def run(params: Fairness, paths: Paths) -> Metrics:
    """Measure every group attribute of the test split, and every mention; the model itself has seen no attribute."""
    rows = joined(paths)
    axes = identity.load(paths.root / "data" / identity.FOLDER)
    out = paths.data("fairness")
    result, metrics = group_metrics.measure(rows, params)
    ranked, ranking = auc.measure(rows, axes, params)
    model = classifier.load(paths.data("export") / "bundle")
    changed, augmented = augmentations.measure(paths, axes, model, params)
    table.write_csv(result, out / "groups.csv")
    table.write_csv(ranked, out / "auc.csv")
    table.write_csv(changed, out / "augmentations.csv")
    figure = group_metrics.draw(result)
    replace(out / "groups.png", lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None}))
    return metrics | {"auc": ranking, "augmentations": augmented}


def joined(paths: Paths) -> pd.DataFrame:
    """The test rows with what the model predicted for each: ``predicted``, and ``score.<label>`` of every label."""
    path = paths.data("evaluate") / "predictions.parquet"
    if not path.exists():
        raise UserError(f"{path}: expected the output of evaluate, found no such file; run `dvc repro`")
    test = table.read(paths.data("ingest") / "test.parquet")
    predictions = pd.read_parquet(path).drop(columns=["label", "confidence"])
    if set(test["id"]) != set(predictions["id"]):
        raise UserError(f"{path}: expected a prediction for each row of the test split, found others; rerun evaluate")
    return test.merge(predictions, on="id", validate="one_to_one")
