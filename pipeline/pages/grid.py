"""Tables for readers: every value as text, ready to print as HTML or Markdown."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # takes a second, and the pages of the service have no tables

MISSING = "–"


@dataclass(frozen=True)
class Grid:
    """A table ready to print; the first column names the row."""

    caption: str
    head: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    total: bool = False  # the last row sums up the others
    code: bool = False  # the first column holds ids
    bars: tuple[float | None, ...] = ()  # one share for each row, 0 to 1, drawn at the row's end


def format_value(value: Any) -> str:
    """A value for readers: numbers with three decimals and thousands separators, a dash for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:,.3f}"
    if isinstance(value, list):
        return ", ".join(map(format_value, value)) or MISSING
    return str(value)


def to_grid(
    frame: "pd.DataFrame", caption: str, *, total: bool = False, code: bool = False, bars: str | None = None
) -> Grid:
    """A data frame as a Grid; ``bars`` names the column of shares that is drawn as well."""
    import pandas as pd

    columns = [format_column(frame[name]) for name in frame.columns]
    return Grid(
        caption,
        [str(name).replace("_", " ") for name in frame.columns],
        [list(row) for row in zip(*columns, strict=True)],
        [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns],
        total,
        code,
        tuple(None if pd.isna(value) else float(value) for value in frame[bars]) if bars else (),
    )


def format_column(column: "pd.Series") -> list[str]:
    """The values of a column as text. Counts that a CSV file holds as floats, because one is missing, are integers."""
    import pandas as pd

    values = column.tolist()
    known = column.dropna()
    if pd.api.types.is_float_dtype(column) and (known % 1 == 0).all() and (known > 1).any():
        values = [None if pd.isna(value) else int(value) for value in values]
    return [format_value(value) for value in values]
