"""Figures as numbers: where points, whiskers and bars stand, in SVG units, so that the browser draws them as text.

Drawn in the page they follow its fonts (a PNG lacks those of many scripts), its light and dark colours, and the paper.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pipeline import statistics
from pipeline.report.gather import Results
from pipeline.report.grid import show

LEFT, RIGHT = 46, 352  # of both panels
TOP, BOTTOM = 12, 212  # of the upper one, which shows shares
COUNTS_TOP, COUNTS_BOTTOM = 236, 292  # of the lower one, which shows rows
WIDTH, HEIGHT = 360, 334


@dataclass(frozen=True)
class Point:
    """A share with its interval; ``says`` is what a pointer over it tells."""

    x: float
    y: float
    low: float
    high: float
    says: str


@dataclass(frozen=True)
class Column:
    """A bar of the lower panel."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True)
class Chart:
    """Shares with intervals above counts of rows, over one axis; ticks are (place, text)."""

    title: str
    text: str  # what it shows, for those who do not see it
    x_title: str
    y_title: str
    points: list[Point]
    columns: list[Column]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    most: str  # rows of the tallest bar
    diagonal: tuple[float, float, float, float] | None = None
    mark: tuple[float, str] | None = None  # a vertical line, and the word at its head


@dataclass(frozen=True)
class Dot:
    """A value with its interval on a line, all in percent of the line's length; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    limit: float | None = None


def wilson(share: float, rows: int, level: float) -> tuple[float, float]:
    """The interval of a share of so many rows (Wilson 1927), which stays within 0 and 1 even for few."""
    from scipy.stats import binomtest

    found = binomtest(round(share * rows), rows).proportion_ci(confidence_level=level, method="wilson")
    return float(found.low), float(found.high)


def scale(values: Iterable[float], low: float, high: float, start: float, end: float) -> list[float]:
    """Values between ``low`` and ``high`` as places between ``start`` and ``end``, to a tenth of a unit."""
    return [round(start + (value - low) / (high - low) * (end - start), 1) for value in values]


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
    lows = [wilson(share, count, level)[0] for share, count in zip(judged["precision"], judged["rows"], strict=True)]
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


def points(
    rows: pd.DataFrame,
    x: str,
    share: str,
    across: tuple[float, float],
    up: tuple[float, float],
    level: float,
    says: str,
) -> list[Point]:
    """One point a row of ``rows``, whose interval follows from its ``rows``."""
    found = []
    for at, value, count in zip(rows[x], rows[share], rows["rows"], strict=True):
        low, high = wilson(value, int(count), level)
        words = says.format(x=show(at), share=show(float(value)), rows=show(int(count)), low=show(low), high=show(high))
        place = scale([at], *across, LEFT, RIGHT)[0]
        y, bottom, top = scale([value, max(low, up[0]), high], *up, BOTTOM, TOP)
        found.append(Point(place, y, bottom, top, words))
    return found


def columns(counts: Sequence[int], edges: list[float], gap: float = 1) -> list[Column]:
    """Bars between the edges, the tallest as high as the lower panel."""
    tallest = max(*counts, 1)
    heights = scale(counts, 0, tallest, 0, COUNTS_BOTTOM - COUNTS_TOP)
    return [
        Column(left + gap / 2, COUNTS_BOTTOM - height, round(right - left - gap, 1), height, f"{show(int(count))} rows")
        for count, height, (left, right) in zip(counts, heights, pairwise(edges), strict=True)
    ]


def ticks(
    values: Iterable[float], low: float, high: float, start: float, end: float, form: str = "{:.1f}"
) -> list[tuple[float, str]]:
    """Where the ticks of an axis stand, and what they say."""
    values = list(values)
    return list(zip(scale(values, low, high, start, end), map(form.format, values), strict=True))


def groups(results: Results) -> dict[str, Any]:
    """Accuracy of each group with its interval, as rows with a Dot each, and the ends of the Dots' line."""
    level = results.params["fairness"]["interval"]
    table = results.groups[results.groups["class"].isna() & results.groups["accuracy"].notna()]
    found: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    spans = [wilson(one["accuracy"], int(one["rows"]), level) for one in found]
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
