"""The report's charts: reliability, rounds of pseudo-labels, accuracy by group, and the gaps between groups."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics import statistics
from pipeline.pages.figures import BOTTOM, LEFT, RIGHT, TOP, Chart, Dot, columns, points, scale, ticks
from pipeline.pages.grid import show
from pipeline.stages.report.gather import Results


def reliability(results: Results) -> tuple[Chart | None, pd.DataFrame]:
    """Accuracy against confidence by bins, and the bins as a table; no chart without test rows."""
    rows = results.predictions
    right = (rows["label"] == rows["predicted"]).to_numpy()
    bins = statistics.calibration(rows["confidence"].to_numpy(), right)
    edges = np.linspace(0, 1, len(bins) + 1)
    bins.insert(0, "bin", [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)])
    filled = bins["rows"] > 0
    if not filled.any():
        return None, bins[filled]
    level = results.params["evaluate"]["interval"]
    says = "confidence {x}: {share} of {rows} rows right ({low} to {high})"
    chart = Chart(
        title="Reliability",
        text="Accuracy against confidence, bin by bin, above the number of rows; on the dashed line both are equal.",
        x_title="confidence",
        y_title="accuracy",
        points=points(bins[filled], "confidence", "accuracy", (0, 1), (0, 1), level, says),
        columns=columns(bins["rows"].tolist(), scale(edges, 0, 1, LEFT, RIGHT)),
        x_ticks=ticks((0, 0.2, 0.4, 0.6, 0.8, 1), 0, 1, LEFT, RIGHT),
        y_ticks=ticks((0, 0.2, 0.4, 0.6, 0.8, 1), 0, 1, BOTTOM, TOP),
        most=show(int(bins["rows"].max())),
        diagonal=(LEFT, BOTTOM, RIGHT, TOP),
    )
    return chart, bins[filled]


def rounds(results: Results) -> Chart | None:
    """Precision on held-out labels by round, with intervals, above the rows accepted; None where none was judged."""
    rows = results.rounds
    if len(rows) < 2 or "precision" not in rows or rows["precision"].isna().all():
        return None
    found, level = results.metrics["pseudo_label"], results.params["evaluate"]["interval"]
    if not found["held_out_rows"]:
        return None
    judged = rows[rows["precision"].notna()].assign(rows=found["held_out_rows"])
    lows = [
        statistics.wilson(share * count, int(count), level)[0]
        for share, count in zip(judged["precision"], judged["rows"], strict=True)
    ]
    floor = max(0.0, np.floor(min(lows) * 5) / 5)
    last = int(rows["round"].max())
    ends = (-0.5, last + 0.5)
    says = "round {x}: {share} of {rows} held-out rows right ({low} to {high})"
    kept = scale([found["round"]], *ends, LEFT, RIGHT)[0]
    return Chart(
        title="Learning curve by rounds",
        text="Precision on held-out labels by round, above the number of accepted pool rows.",
        x_title="round",
        y_title="precision",
        points=points(judged, "round", "precision", ends, (floor, 1), level, says),
        columns=columns(rows["accepted"].tolist(), scale(np.arange(last + 2) - 0.5, *ends, LEFT, RIGHT), gap=4),
        x_ticks=ticks(range(0, last + 1, 1 + last // 12), *ends, LEFT, RIGHT, "{:.0f}"),
        y_ticks=ticks(np.arange(floor, 1.01, 0.1 if floor >= 0.5 else 0.2), floor, 1, BOTTOM, TOP),
        most=show(int(rows["accepted"].max())),
        mark=(kept, "kept"),
    )


def groups(results: Results) -> dict[str, Any]:
    """Accuracy of each group with its interval, as rows with a Dot each, and the ends of the Dots' line."""
    level = results.params["fairness"]["interval"]
    table = results.groups[results.groups["class"].isna() & results.groups["accuracy"].notna()]
    found: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    spans = [statistics.wilson(one["accuracy"] * one["rows"], int(one["rows"]), level) for one in found]
    start = max(0.0, np.floor(min((low for low, _ in spans), default=0) * 10) / 10)
    rows = [
        {
            "attribute": one["attribute"],
            "group": one["group"],
            "rows": show(int(one["rows"])),
            "accuracy": show(float(one["accuracy"])),
            "interval": f"{show(low)} to {show(high)}",
            "status": one["status"],
            "dot": Dot(*scale([one["accuracy"], low, high], start, 1, 0, 100)),
        }
        for one, (low, high) in zip(found, spans, strict=True)
    ]
    return {"rows": rows, "start": f"{start:.1f}", "end": "1.0"}


def gap(attribute: dict[str, Any], limit: float | None) -> Dot:
    """The gap of an attribute with its interval and the gate's limit, on a line from 0 to 0.5, where wider ones end."""

    def at(value: float | None) -> float | None:
        return None if value is None else min(100.0, round(value * 200, 1))

    return Dot(at(attribute["gap"]), at(attribute["low"]), at(attribute["high"]), at(limit))
