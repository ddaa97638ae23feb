"""The stage itself: measure groups and subgroups on test predictions and augmented rows, write the tables."""

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics, Paths, write_atomically
from pipeline.metrics import group_metrics
from pipeline.models import cluster_answers
from pipeline.stages.fairness import auc, augmentations
from pipeline.text import identity


def run(params: Fairness, paths: Paths) -> Metrics:
    """Measure every group attribute and every mention of a group; the model itself never sees an attribute."""
    rows = join_predictions(paths)
    axes = identity.load(paths.root / "data" / identity.FOLDER)
    out = paths.data("fairness")
    by_group, metrics = group_metrics.measure_groups(rows, params)
    auc_by_subgroup, auc_metrics = auc.measure(rows, axes, params)
    model = cluster_answers.load(paths.data("export") / "bundle", paths.root)
    augmented, augmentation_metrics = augmentations.measure(paths, axes, model, params)
    table.write_csv(by_group, out / "groups.csv")
    table.write_csv(auc_by_subgroup, out / "auc.csv")
    table.write_csv(augmented, out / "augmentations.csv")
    figure = group_metrics.draw_accuracy_by_group(by_group)
    write_atomically(
        out / "groups.png", lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None})
    )
    return metrics | {"auc": auc_metrics, "augmentations": augmentation_metrics}


def join_predictions(paths: Paths) -> pd.DataFrame:
    """The test rows with their predictions: ``predicted``, and ``score.<label>`` (0 to 1) for each label.

    Raises UserError if evaluate has not run, or has run on another test split.
    """
    path = paths.data("evaluate") / "predictions.parquet"
    if not path.exists():
        raise UserError(f"{path}: expected the output of evaluate, found no such file; run `dvc repro`")
    test = table.read(paths.data("ingest") / "test.parquet")
    predictions = pd.read_parquet(path).drop(columns=["label", "confidence"])
    if set(test["id"]) != set(predictions["id"]):
        raise UserError(f"{path}: expected a prediction for each row of the test split, found others; rerun evaluate")
    return test.merge(predictions, on="id", validate="one_to_one")
