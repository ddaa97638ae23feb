"""Figures as numbers: positions of points, whiskers and bars in SVG units.

The templates draw them in the page. A drawn figure follows the page's fonts (a PNG lacks those of many scripts), its
light and dark colours, and the paper.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from pipeline.metrics import statistics
from pipeline.pages.grid import format_value

# Positions in SVG units. charts.html.j2 draws axes and titles at the same ones.
LEFT, RIGHT = 46, 352  # of both panels
TOP, BOTTOM = 12, 212  # of the upper panel, which shows shares
COUNTS_TOP, COUNTS_BOTTOM = 236, 292  # of the lower panel, which shows rows


@dataclass(frozen=True)
class Point:
    """A share with its interval, and the tooltip that a pointer over it shows."""

    x: float
    y: float
    low: float
    high: float
    tooltip: str


@dataclass(frozen=True)
class Column:
    """A bar of the lower panel."""

    x: float
    y: float
    width: float
    height: float
    tooltip: str


@dataclass(frozen=True)
class Chart:
    """Shares with intervals above counts of rows, over one axis. Ticks are (position, text)."""

    title: str
    description: str  # for readers who do not see it
    x_title: str
    y_title: str
    points: list[Point]
    columns: list[Column]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    largest_count: str  # rows of the tallest bar
    diagonal: tuple[float, float, float, float] | None = None
    mark: tuple[float, str] | None = None  # a vertical line, and the word at its head


@dataclass(frozen=True)
class Dot:
    """A value with its interval on a line, each in percent of the line's length; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    limit: float | None = None


def scale(values: Iterable[float], low: float, high: float, start: float, end: float) -> list[float]:
    """Values between ``low`` and ``high`` as positions between ``start`` and ``end``, to a tenth of a unit."""
    return [round(start + (value - low) / (high - low) * (end - start), 1) for value in values]


def share_points(
    rows: pd.DataFrame,
    x: str,
    share: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    level: float,
    tooltip: str,
) -> list[Point]:
    """One point for each row, whose Wilson interval of ``level`` follows from the row's column ``rows``.

    ``x`` and ``share`` name columns. ``tooltip`` is a format string with the fields x, share, rows, low and high.
    """
    points = []
    for value, accuracy, count in zip(rows[x], rows[share], rows["rows"], strict=True):
        low, high = statistics.wilson_interval(accuracy * count, int(count), level)
        fields = {"share": float(accuracy), "rows": int(count), "low": low, "high": high}
        text = tooltip.format(x=format_value(value), **{name: format_value(field) for name, field in fields.items()})
        position = scale([value], *x_range, LEFT, RIGHT)[0]
        y, bottom, top = scale([accuracy, max(low, y_range[0]), high], *y_range, BOTTOM, TOP)
        points.append(Point(position, y, bottom, top, text))
    return points


def count_columns(counts: Sequence[int], edges: list[float], gap: float = 1) -> list[Column]:
    """Bars between the edges; the tallest is as high as the lower panel."""
    tallest = max(*counts, 1)
    heights = scale(counts, 0, tallest, 0, COUNTS_BOTTOM - COUNTS_TOP)
    return [
        Column(
            x=left + gap / 2,
            y=COUNTS_BOTTOM - height,
            width=round(right - left - gap, 1),
            height=height,
            tooltip=f"{format_value(int(count))} rows",
        )
        for count, height, (left, right) in zip(counts, heights, pairwise(edges), strict=True)
    ]


def ticks(
    values: Iterable[float], low: float, high: float, start: float, end: float, form: str = "{:.1f}"
) -> list[tuple[float, str]]:
    """The position and the text of each tick of an axis."""
    values = list(values)
    return list(zip(scale(values, low, high, start, end), map(form.format, values), strict=True))
