"""Figures as numbers: where points, whiskers and bars stand, in SVG units, so that the browser draws them as text.

Drawn in the page they follow its fonts (a PNG lacks those of many scripts), its light and dark colours, and the paper.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from pipeline.metrics import statistics
from pipeline.pages.grid import show

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


def scale(values: Iterable[float], low: float, high: float, start: float, end: float) -> list[float]:
    """Values between ``low`` and ``high`` as places between ``start`` and ``end``, to a tenth of a unit."""
    return [round(start + (value - low) / (high - low) * (end - start), 1) for value in values]


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
        low, high = statistics.wilson(value * count, int(count), level)
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
