"""CSV and TSV to rows; a broken row does not take the rest of the file with it.

Lines are read once, in their order, and the time grows with their number only.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from pipeline.core.errors import UserError
from pipeline.sources.limits import MAX_COLUMNS, MAX_QUOTED_CHARS, MAX_QUOTED_LINES, check_limit
from pipeline.sources.lookahead import Lookahead
from pipeline.sources.open_quotes import Reading, judge_open_quote
from pipeline.sources.quoting import QUOTE, Dialect, Ending, OpenRow, describe_dialect, scan_line, split_as_text

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES, SAMPLE_CHARS = 20_000, 2**23  # from which the dialect is known
MAX_HEADER_LINES, MAX_NAME_CHARS = 20, 200  # of a header with quoted names over several lines
BROKEN_QUOTES = "broken quotes"
UNCLEAR_QUOTES = "quotes that may join several rows"
HEADER_AGAIN = "repeats the header"
TOO_MANY_CELLS = "more cells than columns"


class ParsedRow(NamedTuple):
    """One row of a delimited file, with as many cells as the header has columns if it has no fault."""

    start: int  # number of its first line, from 1
    end: int  # number of its last line
    cells: list[str]
    raw: str  # its lines
    fault: str | None = None
    is_blank: bool = False
    is_short: bool = False  # cells at its end were missing, and are empty


@dataclass(frozen=True)
class Table:
    """A delimited file: its header, and its rows, which are read as they are iterated."""

    columns: list[str]
    delimiter: str
    rows: Iterator[ParsedRow]


def read_table(lines: Iterable[str], name: str, names: Sequence[str], delimiter: str | None) -> Table:
    """The table in some lines, which keep their line ends; ``names`` are columns that it should have.

    A ``delimiter`` of None is detected: by the line ``sep=;`` that Excel writes, or by the header. Raises UserError if
    the header names a column twice or has too many columns.
    """
    ahead = Lookahead(lines)
    named = read_separator_line(ahead)
    ahead.skip_blank_lines()
    delimiter = named or delimiter or detect_delimiter(ahead, names)
    columns = read_header(ahead, delimiter, names)
    check_limit(name, len(columns), MAX_COLUMNS, "columns")
    repeated = sorted(column for column, count in Counter(columns).items() if column and count > 1)
    if repeated:
        listed = ", ".join(repeated[:10])
        raise UserError(f"{name}:1: expected each column once, found {listed} more than once; rename it")
    sample = sample_lines(ahead)
    dialect = describe_dialect(sample, delimiter, len(columns))
    return Table(columns, delimiter, fit_rows(parse_rows(ahead, dialect), columns))


def sample_lines(ahead: Lookahead) -> list[str]:
    """The next lines, up to the limits of a sample."""
    sample, chars = [], 0
    for line in islice(ahead.following(), SAMPLE_LINES):
        sample.append(line)
        chars += len(line)
        if chars > SAMPLE_CHARS:
            break
    return sample


def read_separator_line(ahead: Lookahead) -> str | None:
    """The delimiter of Excel's first line ``sep=;``, which is skipped; None if there is no such line."""
    for line in islice(ahead.following(), 1):
        content = line.rstrip("\r\n").strip(QUOTE)
        if len(content) == 5 and content.lower().startswith("sep="):
            ahead.take()
            return content[4]
    return None


def detect_delimiter(ahead: Lookahead, names: Sequence[str]) -> str:
    """The delimiter whose header holds most of the columns in ``names``; at a tie, the one with most columns."""
    wanted = set(names)

    def columns_found(delimiter: str) -> tuple[int, int]:
        columns, _ = parse_header(ahead, delimiter, names)
        return len(wanted & set(columns)), len(columns)

    return max(DELIMITERS, key=columns_found)


def read_header(ahead: Lookahead, delimiter: str, names: Sequence[str]) -> list[str]:
    """The column names, and their lines are skipped; an empty list if the file is empty."""
    columns, count = parse_header(ahead, delimiter, names)
    for _ in range(count):
        ahead.take()
    return columns


def parse_header(ahead: Lookahead, delimiter: str, names: Sequence[str]) -> tuple[list[str], int]:
    """The stripped column names, and the number of their lines.

    A quoted name may hold line breaks. A quote that opens none is part of the name.
    """
    lines = list(islice(ahead.following(), MAX_HEADER_LINES))
    if not lines:
        return [], 0
    row, ending, count = OpenRow(), Ending.OPEN, 0
    dialect = Dialect(delimiter, MAX_COLUMNS)
    while ending is Ending.OPEN and count < len(lines):
        ending = scan_line(lines[count], row, dialect)
        count += 1
    cells = [clean_name(cell) for cell in row.cells]
    are_names = max(map(len, cells), default=0) <= MAX_NAME_CHARS and (set(cells) & set(names) or not names)
    if ending is Ending.COMPLETE and (count == 1 or are_names):
        return cells, count
    return [clean_name(cell) for cell in split_as_text(lines[0], delimiter)], 1


def clean_name(cell: str) -> str:
    """A column name without outer whitespace and byte order mark."""
    return cell.strip().removeprefix("\ufeff").strip()


def fit_rows(rows: Iterable[ParsedRow], columns: Sequence[str]) -> Iterator[ParsedRow]:
    """Each row with a cell for each column, or with a fault."""
    width, header = len(columns), list(columns)
    for row in rows:
        cells = row.cells
        if row.fault or row.is_blank:
            yield row
        elif is_header_again(cells, header):
            yield ParsedRow(row.start, row.end, cells, row.raw, HEADER_AGAIN)
        elif any(cells[width:]):
            yield ParsedRow(row.start, row.end, cells, row.raw, TOO_MANY_CELLS)
        else:
            fitted = cells[:width] + [""] * (width - len(cells))
            yield ParsedRow(row.start, row.end, fitted, row.raw, is_short=len(cells) < width)


def is_header_again(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a row repeats the header, or names the delimiter as Excel does: files were joined end to end."""
    if len(cells) == len(header) and clean_name(cells[0]) == header[0]:
        return [clean_name(cell) for cell in cells] == header
    first = clean_name(cells[0])
    return len(first) <= 5 and first.lower().startswith("sep=") and not any(cells[1:])


def parse_rows(ahead: Lookahead, dialect: Dialect) -> Iterator[ParsedRow]:
    """Each row, blank lines included, with the cells that it has.

    A quote that stays open may join the lines that follow into one row. The lines that a search for its end has passed
    in vain are not searched again, so that the time stays linear.
    """
    searched_until = 0
    while (line := ahead.take()) is not None:
        start = ahead.number
        if QUOTE not in line:
            cells = split_as_text(line, dialect.delimiter)
            yield ParsedRow(start, start, cells, line, is_blank=not line.strip())
            continue
        row = OpenRow()
        ending = scan_line(line, row, dialect)
        if ending is Ending.OPEN and start >= searched_until:
            column = len(row.cells)
            count, ending = find_end(ahead, line, row, dialect)
            if ending is Ending.COMPLETE:
                yield from read_group(ahead, line, count, column, row, dialect)
                continue
            searched_until = start + count
        if ending is Ending.COMPLETE:
            yield ParsedRow(start, start, row.cells, line)
        else:
            yield read_as_text(start, line, dialect)


def read_as_text(number: int, line: str, dialect: Dialect) -> ParsedRow:
    """The row of a line whose quotes are part of the text; it has a fault unless it has a cell for each column."""
    cells = split_as_text(line, dialect.delimiter)
    return ParsedRow(number, number, cells, line, None if len(cells) == dialect.width else BROKEN_QUOTES)


def find_end(ahead: Lookahead, line: str, row: OpenRow, dialect: Dialect) -> tuple[int, Ending]:
    """How many of the following lines belong to a row that ``line`` leaves open, and how it ends.

    The cells are added to ``row``. The row is broken if it is too long or has more cells than columns.
    """
    chars, count = len(line), 0
    for following in ahead.following():
        count += 1
        chars += len(following)
        if chars > MAX_QUOTED_CHARS or count > MAX_QUOTED_LINES:
            return count, Ending.BROKEN
        ending = scan_line(following, row, dialect)
        if ending is not Ending.OPEN:
            return count, ending
        if len(row.cells) >= dialect.width:
            return count, Ending.BROKEN
    return count, Ending.BROKEN


def read_group(
    ahead: Lookahead, line: str, count: int, column: int, row: OpenRow, dialect: Dialect
) -> Iterator[ParsedRow]:
    """The row or rows of a line whose quote, opened in ``column``, is closed ``count`` lines later.

    Where the quote is part of the text, only its own line is read here.
    """
    start = ahead.number
    lines = [line, *islice(ahead.following(), count)]
    reading = judge_open_quote(lines, column, dialect)
    if reading is Reading.TEXT:
        yield read_as_text(start, line, dialect)
        return
    for _ in range(count):
        ahead.take()
    if reading is Reading.ONE_ROW:
        yield ParsedRow(start, ahead.number, row.cells, "".join(lines))
        return
    for offset, each in enumerate(lines):
        yield ParsedRow(start + offset, start + offset, split_as_text(each, dialect.delimiter), each, UNCLEAR_QUOTES)
