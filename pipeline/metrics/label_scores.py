"""Scores of predicted labels against true ones, both given by name, without intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.metrics import statistics


def accuracy(truth: Sequence[str] | pd.Series, predicted: Sequence[str] | pd.Series) -> float:
    """Share of the predicted labels that are right, 0 to 1."""
    return float(np.mean([label == answer for label, answer in zip(truth, predicted, strict=True)]))


def macro_f1(truth: Sequence[str] | pd.Series, predicted: Sequence[str] | pd.Series) -> float:
    """Mean F1, 0 to 1, of the classes that occur as true or predicted label."""
    labels = sorted({*truth, *predicted})
    indices = {label: index for index, label in enumerate(labels)}
    true_classes, predicted_classes = (np.array([indices[label] for label in side]) for side in (truth, predicted))
    return float(statistics.macro_f1(statistics.confusion_matrix(true_classes, predicted_classes, len(labels))))


def accuracy_by_group(is_right: pd.Series, groups: pd.Series, min_rows: int = 1) -> pd.Series:
    """Share of right answers, 0 to 1, of each group with at least ``min_rows`` rows; rows without a group are left out.

    ``is_right`` says of each row whether it is answered correctly.
    """
    by_group = is_right.groupby(groups.to_numpy()).agg(["mean", "size"])
    return by_group.loc[by_group["size"] >= min_rows, "mean"]


def accuracy_gap(rows: pd.DataFrame, predicted: str, min_rows: int) -> float:
    """The largest gap of accuracy, 0 to 1, between two groups of a group attribute; nan if no attribute has two groups.

    ``rows`` have the column ``label``, the column that ``predicted`` names, and group attributes. Groups of fewer than
    ``min_rows`` rows are left out.
    """
    is_right, widest = rows[predicted].eq(rows["label"]), float("nan")
    for column in table.group_columns(rows):
        shares = accuracy_by_group(is_right, rows[column], min_rows)
        if len(shares) > 1:
            widest = float(np.nanmax([widest, shares.max() - shares.min()]))
    return widest
