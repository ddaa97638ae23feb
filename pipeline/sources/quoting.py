"""Cells of a line with quotes, and the decision whether a quote that stays open joins the lines that follow.

A quoted cell may hold line breaks. In a file that was written without quoting, a quote is part of a text: one text
begins with a quote, a later one ends with it, and by the rules of CSV all between them is one cell.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from pipeline.sources.limits import MAX_COLUMNS

QUOTE = '"'
CONTENT = re.compile(r'[^"]*+(?:""[^"]*+)*+')  # of a quoted cell, up to the quote that closes it
BACKSLASHED_CONTENT = re.compile(r'[^"\\]*+(?:(?:""|\\.|\\)[^"\\]*+)*+', re.DOTALL)
ESCAPED = re.compile(r'\\(["\\])|"(")')
STRAY = re.compile(r'[^"]"[^"]')  # a quote inside a cell that does not begin with one
LETTERS, DIGITS = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")
MIN_KNOWN_ROWS = 4  # complete rows from which the values of a column are known
MAX_KNOWN_COLUMNS = 50
FEW_ODD = 0.05  # of the lines of a file, which are then exceptions
FEW, MOST = 0.2, 0.8  # of the lines after an open quote that look like rows of their own, to be one row, or several


class Ending(Enum):
    """How a line ends."""

    COMPLETE = auto()
    OPEN = auto()  # inside quotes
    BROKEN = auto()  # a quote was closed before the end of its cell, or there are too many cells


class Reading(Enum):
    """How to read a line whose quote stays open, where the lines up to the closing quote make a row."""

    ONE_ROW = auto()
    TEXT = auto()  # the quote is part of the text, and each line is a row
    UNCLEAR = auto()


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    width: int  # columns of the header
    has_backslashes: bool = False  # a quote in a quoted cell is written \\" rather than ""
    has_quoted_cells: bool = False
    has_stray_quotes: bool = False
    odd_share: float = 0.0  # of the lines, in a file of one column: those that are blank or hold the delimiter
    known_values: Sequence[frozenset[str]] = ()  # of each column, from complete rows; empty if they do not repeat
    known_shapes: Sequence[frozenset[str]] = ()  # of each column, such as 0-0-0 for dates; empty if they hold words


@dataclass
class OpenRow:
    """A row while its lines are scanned."""

    cells: list[str] = field(default_factory=list)
    parts: list[str] | None = None  # of the quoted cell that is open


def scan_line(line: str, row: OpenRow, dialect: Dialect) -> Ending:
    """How the line ends; its cells are added to ``row``, which an earlier line may have begun.

    A line of too many cells counts as broken.
    """
    end, position, delimiter = len(line.rstrip("\r\n")), 0, dialect.delimiter
    while len(row.cells) <= MAX_COLUMNS:
        if row.parts is not None:
            closing = find_closing_quote(line, position, dialect.has_backslashes)
            if closing < 0:
                row.parts.append(line[position:])
                return Ending.OPEN
            row.parts.append(line[position:closing])
            row.cells.append(unescape("".join(row.parts), dialect.has_backslashes))
            row.parts, position = None, closing + 1
            if position >= end:
                return Ending.COMPLETE
            if not line.startswith(delimiter, position):
                return Ending.BROKEN
            position += len(delimiter)
        if line.startswith(QUOTE, position):
            row.parts, position = [], position + 1
            continue
        stop = line.find(delimiter, position, end)
        row.cells.append(line[position : stop if stop >= 0 else end])
        if stop < 0:
            return Ending.COMPLETE
        position = stop + len(delimiter)
    return Ending.BROKEN


def find_closing_quote(line: str, position: int, has_backslashes: bool) -> int:
    """The place of the quote that closes a cell, from ``position`` on; -1 if none does in this line."""
    content = (BACKSLASHED_CONTENT if has_backslashes else CONTENT).match(line, position)
    end = content.end() if content else len(line)
    return end if end < len(line) else -1


def unescape(cell: str, has_backslashes: bool) -> str:
    """The content of a quoted cell."""
    if has_backslashes:
        return ESCAPED.sub(lambda match: match[1] or match[2], cell)
    return cell.replace('""', QUOTE)


def split_as_text(line: str, delimiter: str) -> list[str]:
    """The cells of a line whose quotes are part of the text."""
    return line.rstrip("\r\n").split(delimiter)


def describe_dialect(lines: Sequence[str], delimiter: str, width: int) -> Dialect:
    """The dialect of a file, from its first lines without the header."""
    plain = Dialect(delimiter, width)
    with_backslashes = Dialect(delimiter, width, has_backslashes=True)
    escaped = [line for line in lines if '\\"' in line]
    fits = [sum(is_row(line, dialect) for line in escaped) for dialect in (plain, with_backslashes)]
    dialect = with_backslashes if fits[1] > fits[0] else plain
    rows, has_quoted_cells, has_stray_quotes = [], False, False
    for line in lines:
        row = OpenRow()
        ending = scan_line(line, row, dialect)
        if ending is Ending.COMPLETE and len(row.cells) == width:
            rows.append(row.cells)
            has_quoted_cells |= line.startswith(QUOTE) or delimiter + QUOTE in line
        if QUOTE in line and '""' not in line:
            cells = split_as_text(line, delimiter)
            has_stray_quotes |= any(STRAY.search(cell) for cell in cells if not cell.startswith(QUOTE))
    columns = list(zip(*rows, strict=True))[:MAX_KNOWN_COLUMNS] if len(rows) >= MIN_KNOWN_ROWS else []
    return Dialect(
        delimiter,
        width,
        dialect.has_backslashes,
        has_quoted_cells,
        has_stray_quotes,
        sum(is_odd(line, delimiter) for line in lines) / max(1, len(lines)),
        [repeated_values(values) for values in columns],
        [shapes_of_codes(values) for values in columns],
    )


def is_row(line: str, dialect: Dialect) -> bool:
    """Whether a line is a complete row with no more cells than the header has."""
    row = OpenRow()
    return scan_line(line, row, dialect) is Ending.COMPLETE and len(row.cells) <= dialect.width


def repeated_values(values: Sequence[str]) -> frozenset[str]:
    """The values that occur more than once, if at least half of the rows hold such a value, as labels do."""
    counts = Counter(values)
    repeated = {value: count for value, count in counts.items() if count > 1}
    return frozenset(repeated) if 2 * sum(repeated.values()) >= len(values) else frozenset()


def shapes_of_codes(values: Sequence[str]) -> frozenset[str]:
    """The shapes of a column of numbers, dates or other codes; empty if any value is none."""
    shapes = frozenset(map(shape_of, values))
    return shapes if all("0" in shape and not {" ", "a"} <= set(shape) for shape in shapes) else frozenset()


def shape_of(value: str) -> str:
    """A value with one ``a`` for letters in a row, and one ``0`` for digits in a row."""
    return DIGITS.sub("0", LETTERS.sub("a", value))


def judge_open_quote(lines: Sequence[str], column: int, dialect: Dialect) -> Reading:
    """How to read lines of which the first opens a quote in ``column`` (from 0) and the last closes it.

    Together they make a row with line breaks. They are rows of their own if most of them hold what this file has in its
    other columns: a known label, a number, a date. The first line starts a row and the last one ends it in both
    readings, so that the first counts by the columns after the quote, and the last by those before it.
    """
    if len({line_end(line) for line in lines[:-1]} | {line_end(lines[-1]) or "\n"}) > 1:
        return Reading.ONE_ROW  # Excel writes \n within cells and \r\n between rows
    if dialect.width == 1:
        return judge_single_column(lines, dialect)
    rows = [split_as_text(line, dialect.delimiter) for line in lines]
    before, after = range(column), range(column + 1, dialect.width)
    verdicts = [resembles_row(rows[0], dialect, (), after)]
    verdicts += [resembles_row(cells, dialect, before, after) for cells in rows[1:-1]]
    verdicts += [resembles_row(rows[-1], dialect, before, ())]
    told = [verdict for verdict in verdicts if verdict is not None]
    if not told:
        are_complete = all(len(cells) == dialect.width for cells in rows)
        return Reading.UNCLEAR if are_complete else Reading.ONE_ROW
    alike = sum(told)
    if alike < FEW * len(told):
        return Reading.ONE_ROW
    return Reading.TEXT if alike >= MOST * len(told) and verdicts[0] is not False else Reading.UNCLEAR


def judge_single_column(lines: Sequence[str], dialect: Dialect) -> Reading:
    """How to read an open quote where every line may be a whole row; the rest of the file decides."""
    if dialect.has_stray_quotes:
        return Reading.UNCLEAR if dialect.has_quoted_cells else Reading.TEXT
    is_odd_as_rows = dialect.odd_share < FEW_ODD and any(is_odd(line, dialect.delimiter) for line in lines)
    if dialect.has_quoted_cells or is_odd_as_rows or not dialect.known_values:
        return Reading.ONE_ROW
    return Reading.UNCLEAR  # many rows, of which none is quoted


def is_odd(line: str, delimiter: str) -> bool:
    """Whether a line is no row of a single column that was written without quoting."""
    return delimiter in line or not line.strip()


def line_end(line: str) -> str:
    """The characters that end a line."""
    return line[len(line.rstrip("\r\n")) :]


def resembles_row(cells: Sequence[str], dialect: Dialect, before: Sequence[int], after: Sequence[int]) -> bool | None:
    """Whether a line holds what this file has in the columns ``before`` and ``after`` its text; None if anything fits.

    The columns before the text are counted from the start of the line and those after it from its end, because the text
    may hold the delimiter.
    """
    verdicts = []
    places = [(column, column) for column in before] + [(column, column - dialect.width) for column in after]
    for column, place in places:
        values, shapes = known_cells(dialect, column)
        if values or shapes:
            cell = cells[place].strip(QUOTE) if -len(cells) <= place < len(cells) else ""
            verdicts.append(cell in values or shape_of(cell) in shapes)
    return all(verdicts) if verdicts else None


def known_cells(dialect: Dialect, column: int) -> tuple[frozenset[str], frozenset[str]]:
    """The known values and shapes of a column; empty sets if it may hold anything."""
    if column >= len(dialect.known_values):
        return frozenset(), frozenset()
    return dialect.known_values[column], dialect.known_shapes[column]
