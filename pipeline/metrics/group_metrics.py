"""Metrics by group: accuracy, one-against-the-rest rates, and the gaps between groups that have enough rows."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN_GROUP = table.UNKNOWN_GROUP
RATES = {  # rate: the rows that it is a share of
    "selection_rate": "rows",
    "true_positive_rate": "positives",
    "false_positive_rate": "negatives",
}
COLUMNS = ("attribute", "group", "class", "rows", "positives", "negatives", "status", "accuracy", *RATES)


def measure_groups(rows: pd.DataFrame, params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """The table of metrics by group, and the gaps by attribute, for every group attribute of ``rows``.

    ``rows`` have the columns ``label`` and ``predicted``. The table has the columns `COLUMNS`.
    """
    labels = sorted({*rows["label"], *rows["predicted"]})
    attributes = table.group_columns(rows)
    parts: list[pd.DataFrame] = []
    metrics: Metrics = {}
    for column in attributes:
        name = column.removeprefix(table.GROUP_PREFIX)
        groups = by_group(rows, rows[column].fillna(UNKNOWN_GROUP), labels, params.min_group_size).assign(
            attribute=name
        )
        attribute_gaps = gaps(rows, rows[column], groups, labels, params)
        metrics |= {f"{name}.{key}": value for key, value in attribute_gaps.items()}
        parts.append(groups[list(COLUMNS)])
    result = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    status = "no group attributes"
    if attributes:
        statuses = {metrics[f"{column.removeprefix(table.GROUP_PREFIX)}.status"] for column in attributes}
        status = "insufficient" if "insufficient" in statuses else "ok"
    return result, {"attributes": len(attributes), "status": status, "min_group_size": params.min_group_size} | metrics


def by_group(rows: pd.DataFrame, groups: pd.Series, labels: list[str], min_rows: int) -> pd.DataFrame:
    """Metrics of each group: one row with an empty ``class`` for its accuracy, then one row for each class.

    A class's rates are one against the rest: ``positives`` are the group's rows of that class, ``negatives`` the
    others. A rate of no rows is empty. ``status`` is ``insufficient`` where one of these counts is below ``min_rows``,
    and ``unknown`` for the rows without a group.
    """
    from fairlearn.metrics import MetricFrame, count, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    overall = MetricFrame(
        metrics={"rows": count, "accuracy": accuracy_score},
        y_true=rows["label"],
        y_pred=rows["predicted"],
        sensitive_features=groups,
    ).by_group
    parts = [overall.assign(status=np.where(overall["rows"] < min_rows, "insufficient", "ok"))]
    functions = dict(zip(RATES, (selection_rate, true_positive_rate, false_positive_rate), strict=True))
    for label in labels:
        truth, predicted = rows["label"].eq(label).astype(int), rows["predicted"].eq(label).astype(int)
        rates = MetricFrame(metrics=functions, y_true=truth, y_pred=predicted, sensitive_features=groups).by_group
        rates["rows"], rates["positives"] = overall["rows"], truth.groupby(groups.to_numpy()).sum()
        rates["negatives"] = rates["rows"] - rates["positives"]
        for rate, base in RATES.items():
            rates[rate] = rates[rate].where(rates[base] > 0)
        enough = rates[["positives", "negatives"]].min(axis=1) >= min_rows
        parts.append(rates.assign(**{"class": label, "status": np.where(enough, "ok", "insufficient")}))
    result = pd.concat(parts).rename_axis("group").reset_index().reindex(columns=COLUMNS)
    result.loc[result["group"].eq(UNKNOWN_GROUP), "status"] = UNKNOWN_GROUP
    counts = dict.fromkeys(("rows", "positives", "negatives"), "Int64")
    return result.astype(counts).sort_values("group", kind="stable")


def gaps(rows: pd.DataFrame, values: pd.Series, groups: pd.DataFrame, labels: list[str], params: Fairness) -> Metrics:
    """The largest gap of each metric between two groups that are large enough, with its interval.

    ``values`` are the groups of the rows and ``groups`` is the table of `by_group`.

    A maximum over groups is biased upwards under resampling, so a percentile interval of the gap itself would lie too
    high. Instead all differences get one margin: the bootstrap quantile of the largest deviation of any difference
    from its measured value (Tukey's range, bootstrapped). The true gap lies within gap ± margin with the probability
    ``params.interval`` at least. For rates the margin also covers all classes, because the class with the largest gap
    is picked after the fact.
    """
    overall = groups[groups["class"].isna()].set_index("group")
    large = overall.index[overall["status"].eq("ok")].tolist()
    metrics: Metrics = {
        "status": "ok" if len(large) > 1 else "insufficient",
        "groups": len(large),
        "insufficient_groups": overall.index[overall["status"].eq("insufficient")].tolist(),
        "unknown_rows": int(overall["rows"].get(UNKNOWN_GROUP, 0)),
    }
    if len(large) < 2:
        return metrics | {f"{name}_gap": None for name in ("accuracy", *RATES)}
    accuracy = overall.loc[large, "accuracy"].astype(float)
    metrics |= {"lowest_accuracy_group": accuracy.idxmin(), "highest_accuracy_group": accuracy.idxmax()}
    counts = [confusion_matrix_of(rows[values.eq(group)], labels) for group in large]
    deviations = bootstrap_deviations(counts, params)
    metrics |= gap_with_interval("accuracy", accuracy.to_frame().to_numpy(), deviations["accuracy"], params.interval)[0]
    per_class = groups[groups["class"].notna()]
    for rate, base in RATES.items():
        rates, sizes = (per_class.pivot(index="group", columns="class", values=name) for name in (rate, base))
        large_enough = rates.where(sizes >= params.min_group_size).loc[large, labels].to_numpy(float)
        rate_gap, worst_class = gap_with_interval(rate, large_enough, deviations[rate], params.interval)
        metrics |= rate_gap | {f"{rate}_gap_class": None if worst_class is None else labels[worst_class]}
    return metrics


def confusion_matrix_of(rows: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Counts of ``rows`` by true and predicted label, (labels, labels) int64, in the order of ``labels``."""
    numbers = {label: number for number, label in enumerate(labels)}
    truth, predicted = (rows[name].map(numbers).to_numpy(int) for name in ("label", "predicted"))
    return statistics.confusion_matrix(truth, predicted, len(labels))


def bootstrap_deviations(counts: list[np.ndarray], params: Fairness) -> dict[str, np.ndarray]:
    """For every metric its values in bootstrap resamples minus its measured value; NaN where it has no rows.

    Each array is (resamples, groups, classes), float64; that of the accuracy has one class. ``counts`` holds the
    confusion matrix of each group, (classes, classes), int. Groups keep their sizes in a resample.
    """
    rng = np.random.default_rng(params.seed)
    deviations_by_group = []
    for group_counts in counts:
        measured = confusion_rates(group_counts)
        drawn = confusion_rates(statistics.resample(group_counts, params.bootstrap, rng))
        deviations_by_group.append({name: drawn[name] - measured[name] for name in drawn})
    return {name: np.stack([part[name] for part in deviations_by_group], axis=1) for name in deviations_by_group[0]}


def confusion_rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, (..., 1), and one-against-the-rest rates, (..., classes), float64, 0 to 1, of confusion matrices.

    ``counts`` is (..., classes, classes), int. A rate of no rows is NaN.
    """
    hits, predicted, true = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-2), counts.sum(axis=-1)
    total = true.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": hits.sum(axis=-1, keepdims=True) / total,
            "selection_rate": predicted / total,
            "true_positive_rate": hits / true,
            "false_positive_rate": (predicted - hits) / (total - true),
        }


def gap_with_interval(
    name: str, values: np.ndarray, deviations: np.ndarray, level: float
) -> tuple[Metrics, int | None]:
    """Metrics ``<name>_gap``, ``<name>_gap_low`` and ``<name>_gap_high``, and the number of the class with that gap.

    ``values`` is (groups, classes), float64, 0 to 1. ``deviations`` is (resamples, groups, classes), float64, from
    `bootstrap_deviations`. A value that is NaN is left out; a class with fewer than two values has no gap. ``level`` is
    that of the interval, 0 to 1.
    """
    usable = np.isfinite(values).sum(axis=0) > 1
    if not usable.any():
        return {f"{name}_gap": None, f"{name}_gap_classes": 0}, None
    values, deviations = values[:, usable], np.where(np.isfinite(values), deviations, np.nan)[:, :, usable]
    largest, low, high, column = statistics.largest_gap(values, deviations, level)
    metrics: Metrics = {f"{name}_gap": largest, f"{name}_gap_low": low, f"{name}_gap_high": high}
    if name in RATES:
        metrics[f"{name}_gap_classes"] = int(usable.sum())
    return metrics, int(np.flatnonzero(usable)[column])


def draw_accuracy_by_group(groups: pd.DataFrame) -> "Figure":
    """The accuracy of each group, in a panel for each attribute; groups that are too small or unknown are hollow."""
    from matplotlib.figure import Figure

    rows = groups[groups["class"].isna()]
    attributes = rows["attribute"].unique().tolist()
    heights = [1 + len(rows[rows["attribute"].eq(name)]) for name in attributes] or [2]
    figure = Figure(figsize=(7, 1 + 0.35 * sum(heights)), layout="constrained")
    if not attributes:
        figure.text(0.5, 0.5, "No group attributes", ha="center", va="center")
        return figure
    panels = figure.subplots(len(attributes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, name in zip(panels, attributes, strict=True):
        part = rows[rows["attribute"].eq(name)].iloc[::-1]
        solid = part["status"].eq("ok").map({True: "tab:blue", False: "none"})
        names = (part["group"] + " (" + part["rows"].astype(str) + " rows)").str.replace("$", r"\$", regex=False)
        panel.scatter(part["accuracy"].astype(float), range(len(part)), c=solid, edgecolors="tab:blue", s=50)
        panel.set_yticks(range(len(part)), names)
        panel.set(xlim=(0, 1.02), ylim=(-0.7, len(part) - 0.3), title=name.replace("$", r"\$"))
        panel.grid(axis="x", alpha=0.4)
    panels[-1].set_xlabel("accuracy (hollow: too few rows, or group unknown)")
    return figure
