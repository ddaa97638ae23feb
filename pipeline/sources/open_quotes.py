"""Whether the lines up to the quote that closes an open one are one row with line breaks, or rows of their own.

In a file that was written without quoting, a quote is part of a text: one text begins with a quote, a later one ends
with it, and by the rules of CSV all between them is one cell.
"""

from collections.abc import Sequence
from enum import Enum, auto

from pipeline.sources.quoting import QUOTE, Dialect, is_odd, shape_of, split_as_text

FEW_ODD = 0.05  # of the lines of a file, which are then exceptions
FEW, MOST = 0.2, 0.8  # of the lines after an open quote that look like rows of their own, to be one row, or several
MIN_OPEN_LINES = 3  # with as many cells as columns, from which they may be rows though no cell is of a known kind
MIN_GROUPS = 3  # rows of several lines in a file of one column, from which quoting is its habit


class Reading(Enum):
    """How to read a line whose quote stays open, where the lines up to the closing quote make a row."""

    ONE_ROW = auto()
    TEXT = auto()  # the quote is part of the text, and each line is a row
    UNCLEAR = auto()


def judge_open_quote(lines: Sequence[str], column: int, dialect: Dialect) -> Reading:
    """How to read lines of which the first opens a quote in ``column`` (from 0) and the last closes it.

    Together they make a row with line breaks, as programs write it that quote. In a file that was written without
    quoting, each line is a row: it has a cell for each column, and what this file has in its other columns, such as a
    known label, a number or a date. The lines between the first and the last tell which; where there are none, both
    must look like rows.
    """
    if line_end(lines[-1]) == "\r\n" and all(line_end(line) == "\n" for line in lines[:-1]):
        return Reading.ONE_ROW  # Excel writes \n within cells and \r\n between rows
    if dialect.width == 1:
        return judge_single_column(lines, dialect)
    verdicts = [resembles_row(split_as_text(line, dialect.delimiter), column, dialect) for line in lines]
    inner = verdicts[1:-1] or verdicts
    alike, unlike, open_ = inner.count(True), inner.count(False), inner.count(None)
    if open_ >= MIN_OPEN_LINES and open_ >= MOST * len(inner):
        return Reading.UNCLEAR  # line after line with the right number of cells
    if not alike:
        may_be_rows = dialect.has_stray_quotes or all(is_full(line, dialect) for line in lines)
        return Reading.UNCLEAR if not unlike and may_be_rows else Reading.ONE_ROW
    if alike < FEW * (alike + unlike) or (len(lines) == 2 and unlike):
        return Reading.ONE_ROW
    if len(lines) == 2 and open_:  # "Hi, before a second line with a label
        return Reading.UNCLEAR if dialect.has_stray_quotes else Reading.ONE_ROW
    return Reading.TEXT if alike >= MOST * len(inner) and verdicts[0] is not False else Reading.UNCLEAR


def is_full(line: str, dialect: Dialect) -> bool:
    """Whether a line has a cell with content for each column."""
    cells = split_as_text(line, dialect.delimiter)
    return len(cells) == dialect.width and all(cells)


def judge_single_column(lines: Sequence[str], dialect: Dialect) -> Reading:
    """How to read an open quote where every line may be a whole row; the rest of the file decides."""
    if dialect.has_stray_quotes:
        return Reading.UNCLEAR if dialect.has_quoted_cells else Reading.TEXT
    # A program that quotes leaves no other line blank and no delimiter outside of quotes.
    is_odd_as_rows = dialect.odd_share < FEW_ODD and any(is_odd(line, dialect.delimiter) for line in lines)
    is_habit = dialect.groups >= MIN_GROUPS and dialect.odd_share < FEW_ODD
    if dialect.has_quoted_cells or is_odd_as_rows or is_habit or not dialect.known_values:
        return Reading.ONE_ROW
    return Reading.UNCLEAR  # many rows, of which none is quoted


def line_end(line: str) -> str:
    """The characters that end a line."""
    return line[len(line.rstrip("\r\n")) :]


def resembles_row(cells: Sequence[str], column: int, dialect: Dialect) -> bool | None:
    """Whether a line is a row whose text is in ``column``; None if it has as many cells, but none of a known kind.

    A row holds in its other columns what this file has there. A blank cell tells nothing.
    """
    if len(cells) != dialect.width:
        return False
    verdicts = []
    for place, cell in enumerate(cell.strip(QUOTE) for cell in cells):
        values, shapes = known_cells(dialect, place)
        if place != column and cell and (values or shapes):
            verdicts.append(cell in values or shape_of(cell) in shapes)
    return all(verdicts) if verdicts else None


def known_cells(dialect: Dialect, column: int) -> tuple[frozenset[str], frozenset[str]]:
    """The known values and shapes of a column; empty sets if it may hold anything."""
    if column >= len(dialect.known_values):
        return frozenset(), frozenset()
    return dialect.known_values[column], dialect.known_shapes[column]
