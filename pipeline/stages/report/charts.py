"""The report's charts: reliability, rounds of pseudo-labels, accuracy by group, and the gaps between groups."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics import statistics
from pipeline.pages.figures import BOTTOM, LEFT, RIGHT, TOP, Chart, Dot, count_columns, scale, share_points, ticks
from pipeline.pages.grid import format_value
from pipeline.policies.group_status import ENOUGH_ROWS
from pipeline.stages.report.gather import Results

WIDEST_GAP = 0.5  # where the line of the gaps ends; it leaves room to see small gaps


def reliability_chart(results: Results) -> tuple[Chart | None, pd.DataFrame]:
    """The reliability diagram (accuracy against confidence) and its bins as a table; no diagram without test rows.

    DeGroot and Fienberg (1983), "The comparison and evaluation of forecasters".
    """
    rows = results.predictions
    correct = (rows["label"] == rows["predicted"]).to_numpy()
    bins = statistics.reliability_table(rows["confidence"].to_numpy(), correct)
    edges = np.linspace(0, 1, len(bins) + 1)
    bins.insert(0, "bin", [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)])
    filled = bins[bins["rows"] > 0]
    if filled.empty:
        return None, filled
    level = results.params["evaluate"]["interval"]
    tooltip = "confidence {x}: {share} of {rows} rows right ({low} to {high})"
    chart = Chart(
        title="Reliability",
        description="Accuracy against confidence, bin by bin, above the number of rows; on the dashed line both are "
        "equal.",
        x_title="confidence",
        y_title="accuracy",
        points=share_points(filled, "confidence", "accuracy", (0, 1), (0, 1), level, tooltip),
        columns=count_columns(bins["rows"].tolist(), scale(edges, 0, 1, LEFT, RIGHT)),
        x_ticks=ticks((0, 0.2, 0.4, 0.6, 0.8, 1), 0, 1, LEFT, RIGHT),
        y_ticks=ticks((0, 0.2, 0.4, 0.6, 0.8, 1), 0, 1, BOTTOM, TOP),
        largest_count=format_value(int(bins["rows"].max())),
        diagonal=(LEFT, BOTTOM, RIGHT, TOP),
    )
    return chart, filled


def coverage_chart(results: Results) -> Chart | None:
    """Accuracy of the answered test rows against their share, above their number; None for a model that never abstains.

    The mark stands at the share that the threshold of the model leaves.
    """
    rows, measured = results.coverage, results.metrics["evaluate"].get("abstention.coverage")
    if rows.empty or measured is None:
        return None
    level = results.params["evaluate"]["interval"]
    y_start = min(0.8, np.floor(rows["accuracy"].min() * 5) / 5)
    edges = scale([0, *rows["coverage"]], 0, 1, LEFT, RIGHT)
    y_ticks = [value for value in (0, 0.2, 0.4, 0.6, 0.8, 1) if value >= y_start - 1e-9]
    tooltip = "{x} of the rows answered: {share} of these {rows} right ({low} to {high})"
    return Chart(
        title="Coverage and accuracy",
        description="Accuracy of the test rows that are answered against their share, above their number; the dashed "
        "line is the share that the model answers.",
        x_title="share of test rows that get a label",
        y_title="accuracy",
        points=share_points(rows, "coverage", "accuracy", (0, 1), (y_start, 1), level, tooltip),
        columns=count_columns(rows["rows"].tolist(), edges),
        x_ticks=ticks((0, 0.2, 0.4, 0.6, 0.8, 1), 0, 1, LEFT, RIGHT),
        y_ticks=ticks(y_ticks, y_start, 1, BOTTOM, TOP),
        largest_count=format_value(int(rows["rows"].max())),
        mark=(scale([measured], 0, 1, LEFT, RIGHT)[0], "chosen"),
    )


def rounds_chart(results: Results) -> Chart | None:
    """Precision on held-out labels by round, above the rows accepted; None where no round has a precision."""
    rows = results.rounds
    if len(rows) < 2 or "precision" not in rows or rows["precision"].isna().all():
        return None
    metrics, level = results.metrics["pseudo_label"], results.params["evaluate"]["interval"]
    if not metrics["held_out_rows"]:
        return None
    measured = rows[rows["precision"].notna()].assign(rows=metrics["held_out_rows"])
    y_start = lowest_tick(measured, level)
    last_round = int(rows["round"].max())
    x_range = (-0.5, last_round + 0.5)
    edges = scale(np.arange(last_round + 2) - 0.5, *x_range, LEFT, RIGHT)
    tooltip = "round {x}: {share} of {rows} held-out rows right ({low} to {high})"
    return Chart(
        title="Learning curve by rounds",
        description="Precision on held-out labels by round, above the number of accepted pool rows.",
        x_title="round",
        y_title="precision",
        points=share_points(measured, "round", "precision", x_range, (y_start, 1), level, tooltip),
        columns=count_columns(rows["accepted"].tolist(), edges, gap=4),
        x_ticks=ticks(range(0, last_round + 1, 1 + last_round // 12), *x_range, LEFT, RIGHT, "{:.0f}"),
        y_ticks=ticks(np.arange(y_start, 1.01, 0.1 if y_start >= 0.5 else 0.2), y_start, 1, BOTTOM, TOP),
        largest_count=format_value(int(rows["accepted"].max())),
        mark=(scale([metrics["round"]], *x_range, LEFT, RIGHT)[0], "kept"),
    )


def lowest_tick(measured: pd.DataFrame, level: float) -> float:
    """The largest multiple of 0.2, 0 to 1, below the intervals of all rounds: where the axis of precision starts."""
    lows = [
        statistics.wilson_interval(precision * count, int(count), level)[0]
        for precision, count in zip(measured["precision"], measured["rows"], strict=True)
    ]
    return max(0.0, np.floor(min(lows) * 5) / 5)


def group_dots(results: Results) -> dict[str, Any]:
    """Accuracy of each group with its interval, as rows with a Dot each, and the ends of the Dots' line."""
    level = results.params["fairness"]["interval"]
    table = results.groups[results.groups["class"].isna() & results.groups["accuracy"].notna()]
    groups: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    intervals = [
        statistics.wilson_interval(group["accuracy"] * group["rows"], int(group["rows"]), level) for group in groups
    ]
    start = max(0.0, np.floor(min((low for low, _ in intervals), default=0) * 10) / 10)
    rows = [
        {
            "attribute": group["attribute"],
            "group": group["group"],
            "rows": format_value(int(group["rows"])),
            "accuracy": format_value(float(group["accuracy"])),
            "interval": f"{format_value(low)} to {format_value(high)}",
            "status": group["status"],
            "enough_rows": ENOUGH_ROWS[group["status"]],
            "dot": Dot(*scale([group["accuracy"], low, high], start, 1, 0, 100)),
        }
        for group, (low, high) in zip(groups, intervals, strict=True)
    ]
    return {"rows": rows, "start": f"{start:.1f}", "end": "1.0"}


def gap_dot(attribute: dict[str, Any], limit: float | None) -> Dot:
    """The gap of an attribute with its interval and the gate's limit, on a line from 0 to WIDEST_GAP.

    A wider gap is drawn at the end of the line.
    """

    def position(value: float | None) -> float | None:
        return None if value is None else min(100.0, round(value / WIDEST_GAP * 100, 1))

    return Dot(position(attribute["gap"]), position(attribute["low"]), position(attribute["high"]), position(limit))
