"""How a delimited file is written, and the cells of a line with quotes; a quoted cell may hold line breaks."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from pipeline.sources.limits import MAX_COLUMNS, MAX_QUOTED_LINES

QUOTE = '"'
CONTENT = re.compile(r'[^"]*+(?:""[^"]*+)*+')  # of a quoted cell, up to the quote that closes it
BACKSLASHED_CONTENT = re.compile(r'[^"\\]*+(?:(?:""|\\.|\\)[^"\\]*+)*+', re.DOTALL)
ESCAPED = re.compile(r'\\(["\\])|"(")')
STRAY = re.compile(r'[^"]"[^"]')  # a quote inside a cell that does not begin with one
LETTERS, DIGITS = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")
MIN_KNOWN_ROWS = 4  # complete rows from which the values of a column are known
MAX_KNOWN_COLUMNS = 50


class Ending(Enum):
    """How a line ends."""

    COMPLETE = auto()
    OPEN = auto()  # inside quotes
    BROKEN = auto()  # a quote was closed before the end of its cell, or there are too many cells


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    width: int  # columns of the header
    has_backslashes: bool = False  # a quote in a quoted cell is written \\" rather than ""
    has_quoted_cells: bool = False
    has_stray_quotes: bool = False
    odd_share: float = 0.0  # of the lines outside of quotes: those that are blank or hold the delimiter
    groups: int = 0  # rows of several lines, by the rules of CSV
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
    single, groups = divide_lines(lines, dialect)
    rows, has_quoted_cells, has_stray_quotes = [], False, False
    for line in single:
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
        sum(is_odd(line, delimiter) for line in single) / max(1, len(single)),
        groups,
        [repeated_values(values) for values in columns],
        [shapes_of_codes(values) for values in columns],
    )


def divide_lines(lines: Sequence[str], dialect: Dialect) -> tuple[list[str], int]:
    """The lines that no quote joins with others, by the rules of CSV, and the number of the rows of several lines.

    Lines inside of a quoted cell tell nothing about the columns of the file. A search for the end of a quote is not
    repeated for the lines that it passed in vain, so that the time stays linear.
    """
    single, groups, place, searched_until = [], 0, 0, 0
    while place < len(lines):
        row, count = OpenRow(), 1
        ending = scan_line(lines[place], row, dialect)
        if ending is Ending.OPEN and place >= searched_until:
            while ending is Ending.OPEN and place + count < len(lines) and count <= MAX_QUOTED_LINES:
                ending = scan_line(lines[place + count], row, dialect)
                count += 1
            if ending is not Ending.COMPLETE:
                searched_until, count = place + count, 1
        if count > 1:
            groups += 1
        else:
            single.append(lines[place])
        place += count
    return single, groups


def is_row(line: str, dialect: Dialect) -> bool:
    """Whether a line is a complete row with no more cells than the header has."""
    row = OpenRow()
    return scan_line(line, row, dialect) is Ending.COMPLETE and len(row.cells) <= dialect.width


def repeated_values(values: Sequence[str]) -> frozenset[str]:
    """The values that occur more than once, if at least half of the cells hold such a value, as labels do.

    Blank cells do not count: in a file with few labels most are blank, and so are cells of lines that are no rows.
    """
    counts = Counter(filter(None, values))
    repeated = {value: count for value, count in counts.items() if count > 1}
    return frozenset(repeated) if 2 * sum(repeated.values()) >= counts.total() else frozenset()


def shapes_of_codes(values: Sequence[str]) -> frozenset[str]:
    """The shapes of a column of numbers, dates or other codes; empty if any value is none."""
    shapes = frozenset(map(shape_of, filter(None, values)))
    return shapes if all("0" in shape and not {" ", "a"} <= set(shape) for shape in shapes) else frozenset()


def shape_of(value: str) -> str:
    """A value with one ``a`` for letters in a row, and one ``0`` for digits in a row."""
    return DIGITS.sub("0", LETTERS.sub("a", value))


def is_odd(line: str, delimiter: str) -> bool:
    """Whether a line is no row of a single column that was written without quoting."""
    return delimiter in line or not line.strip()
