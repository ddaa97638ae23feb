"""Metrics by group: accuracy and one-against-the-rest rates, how far groups lie apart, which are too small to tell."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN = table.UNKNOWN
RATES = {  # rate: the rows that it is a share of
    "selection_rate": "rows",
    "true_positive_rate": "positives",
    "false_positive_rate": "negatives",
}
COLUMNS = ("attribute", "group", "class", "rows", "positives", "negatives", "status", "accuracy", *RATES)


def measure(rows: pd.DataFrame, params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """Every group attribute of the rows, which have ``label`` and ``predicted``: a table, and the gaps by attribute."""
    labels = sorted({*rows["label"], *rows["predicted"]})
    attributes = table.group_columns(rows)
    parts: list[pd.DataFrame] = []
    metrics: Metrics = {}
    for column in attributes:
        name = column.removeprefix(table.GROUP)
        groups = by_group(rows, rows[column].fillna(UNKNOWN), labels, params.min_group_size).assign(attribute=name)
        measured = gaps(rows, rows[column], groups, labels, params)
        metrics |= {f"{name}.{key}": value for key, value in measured.items()}
        parts.append(groups[list(COLUMNS)])
    result = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    status = "no group attributes"
    if attributes:
        statuses = {metrics[f"{column.removeprefix(table.GROUP)}.status"] for column in attributes}
        status = "insufficient" if "insufficient" in statuses else "ok"
    return result, {"attributes": len(attributes), "status": status, "min_group_size": params.min_group_size} | metrics


def by_group(rows: pd.DataFrame, groups: pd.Series, labels: list[str], least: int) -> pd.DataFrame:
    """Metrics of each group: one row with an empty ``class`` for its accuracy, then one row for each class.

    A class's rates are one against the rest: ``positives`` are the group's rows of that class, ``negatives`` the
    others; a rate of no rows is empty. ``status`` is ``insufficient`` where one of these counts is below ``least``.
    """
    from fairlearn.metrics import MetricFrame, count, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    overall = MetricFrame(
        metrics={"rows": count, "accuracy": accuracy_score},
        y_true=rows["label"],
        y_pred=rows["predicted"],
        sensitive_features=groups,
    ).by_group
    parts = [overall.assign(status=np.where(overall["rows"] < least, "insufficient", "ok"))]
    functions = dict(zip(RATES, (selection_rate, true_positive_rate, false_positive_rate), strict=True))
    for label in labels:
        truth, chosen = rows["label"].eq(label).astype(int), rows["predicted"].eq(label).astype(int)
        rates = MetricFrame(metrics=functions, y_true=truth, y_pred=chosen, sensitive_features=groups).by_group
        rates["rows"], rates["positives"] = overall["rows"], truth.groupby(groups.to_numpy()).sum()
        rates["negatives"] = rates["rows"] - rates["positives"]
        for rate, base in RATES.items():
            rates[rate] = rates[rate].where(rates[base] > 0)
        enough = rates[["positives", "negatives"]].min(axis=1) >= least
        parts.append(rates.assign(**{"class": label, "status": np.where(enough, "ok", "insufficient")}))
    result = pd.concat(parts).rename_axis("group").reset_index().reindex(columns=COLUMNS)
    result.loc[result["group"].eq(UNKNOWN), "status"] = UNKNOWN
    counts = dict.fromkeys(("rows", "positives", "negatives"), "Int64")
    return result.astype(counts).sort_values("group", kind="stable")


def gaps(rows: pd.DataFrame, values: pd.Series, groups: pd.DataFrame, labels: list[str], params: Fairness) -> Metrics:
    """The largest difference of each metric between two groups that are large enough, with its interval.

    A maximum over groups is biased upwards under resampling, so that a percentile interval of the gap itself would lie
    too high. Instead all differences get one margin: the bootstrap quantile of the largest deviation of any difference
    from its measured value (Tukey's range, bootstrapped). The true gap lies within gap ± margin with the stated
    probability at least. For rates the margin also covers all classes, so that the worst class may be picked.
    """
    overall = groups[groups["class"].isna()].set_index("group")
    large = overall.index[overall["status"].eq("ok")].tolist()
    metrics: Metrics = {
        "status": "ok" if len(large) > 1 else "insufficient",
        "groups": len(large),
        "insufficient_groups": overall.index[overall["status"].eq("insufficient")].tolist(),
        "unknown_rows": int(overall["rows"].get(UNKNOWN, 0)),
    }
    if len(large) < 2:
        return metrics | {f"{name}_gap": None for name in ("accuracy", *RATES)}
    accuracy = overall.loc[large, "accuracy"].astype(float)
    metrics |= {"lowest_accuracy_group": accuracy.idxmin(), "highest_accuracy_group": accuracy.idxmax()}
    counts = [matrix(rows[values.eq(group)], labels) for group in large]
    drawn = resampled(counts, params)
    metrics |= gap("accuracy", accuracy.to_frame().to_numpy(), drawn["accuracy"], params.interval)[0]
    per_class = groups[groups["class"].notna()]
    for rate, base in RATES.items():
        wide, sizes = (per_class.pivot(index="group", columns="class", values=name) for name in (rate, base))
        known = wide.where(sizes >= params.min_group_size).loc[large, labels].to_numpy(float)
        measured, worst = gap(rate, known, drawn[rate], params.interval)
        metrics |= measured | {f"{rate}_gap_class": None if worst is None else labels[worst]}
    return metrics


def matrix(rows: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Counts by true and predicted label."""
    places = {label: place for place, label in enumerate(labels)}
    truth, predicted = (rows[name].map(places).to_numpy(int) for name in ("label", "predicted"))
    return statistics.confusion(truth, predicted, len(labels))


def resampled(counts: list[np.ndarray], params: Fairness) -> dict[str, np.ndarray]:
    """Deviations under the bootstrap, (resamples, groups, classes) each; groups keep their sizes.

    For every metric: its value in a resample less its measured value, NaN where it has no rows.
    """
    rng = np.random.default_rng(params.seed)
    parts = []
    for one in counts:
        drawn, measured = rates(statistics.resample(one, params.bootstrap, rng)), rates(one)
        parts.append({name: drawn[name] - measured[name] for name in drawn})
    return {name: np.stack([part[name] for part in parts], axis=1) for name in parts[0]}


def rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy (..., 1) and one-against-the-rest rates (..., classes) of confusion matrices (..., classes, classes)."""
    hits, chosen, true = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-2), counts.sum(axis=-1)
    total = true.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": hits.sum(axis=-1, keepdims=True) / total,
            "selection_rate": chosen / total,
            "true_positive_rate": hits / true,
            "false_positive_rate": (chosen - hits) / (total - true),
        }


def gap(name: str, values: np.ndarray, deviations: np.ndarray, level: float) -> tuple[Metrics, int | None]:
    """Widest range over groups of any class in ``values`` (groups, classes), its interval, and that class's index.

    A value that is NaN is left out; a class with fewer than two values has no gap. ``deviations`` as in `resampled`.
    """
    usable = np.isfinite(values).sum(axis=0) > 1
    if not usable.any():
        return {f"{name}_gap": None, f"{name}_gap_classes": 0}, None
    values, deviations = values[:, usable], np.where(np.isfinite(values), deviations, np.nan)[:, :, usable]
    widest, low, high, place = statistics.widest(values, deviations, level)
    metrics: Metrics = {f"{name}_gap": widest, f"{name}_gap_low": low, f"{name}_gap_high": high}
    if name in RATES:
        metrics[f"{name}_gap_classes"] = int(usable.sum())
    return metrics, int(np.flatnonzero(usable)[place])


def draw(groups: pd.DataFrame) -> "Figure":
    """Accuracy of each group, a panel for each attribute; groups that are too small or unknown are hollow."""
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
