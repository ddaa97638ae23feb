"""CSV and TSV to records; a broken row does not take the rest of the file with it."""

import csv
import io
from collections.abc import Iterator

from pipeline.core.errors import UserError
from pipeline.sources.source import Record

DELIMITERS = (",", ";", "\t", "|")
LARGEST_CELL = 2**31 - 1  # characters, so that the csv module's limit of 131,072 never rejects: ingest.max_chars does

ParsedRow = tuple[int, int, list[str] | None]  # first line from 0, line after the last, cells (None: broken quotes)


def read(text: str, name: str, names: list[str], delimiter: str | None) -> tuple[list[str], list[Record]]:
    """All column names of the header, and the records with the cells of the columns in ``names``.

    ``name`` is the file's name in messages; a ``delimiter`` of None is detected. Raises UserError if the header names a
    column twice.
    """
    csv.field_size_limit(LARGEST_CELL)
    lines = list(io.StringIO(text, newline=""))
    rows = parse_rows(lines, delimiter or detect_delimiter(lines, names))
    columns = read_header(rows)
    repeated = sorted({column for column in columns if column and columns.count(column) > 1})
    if repeated:
        raise UserError(f"{name}:1: expected each column once, found {', '.join(repeated)} more than once; rename it")
    index = {column: columns.index(column) for column in names if column in columns}
    records = []
    for start, end, cells in rows:
        if cells is None:
            records.append(Record(start + 1, {}, "broken quotes", lines[start]))
        elif len(cells) != len(columns):
            fault = f"{'fewer' if len(cells) < len(columns) else 'more'} cells than columns"
            records.append(Record(start + 1, {}, fault, "".join(lines[start:end])))
        else:
            records.append(Record(start + 1, {column: cells[i] for column, i in index.items()}))
    return columns, records


def parse_rows(lines: list[str], delimiter: str) -> Iterator[ParsedRow]:
    """Start, end and cells of each row that is not blank; the cells are None if its quotes are broken.

    A quote that is opened and never closed would swallow the rest of the file. So only its line is given up, and
    reading goes on with the next line.
    """
    start = 0
    while start < len(lines):
        offset = start
        reader = csv.reader((lines[i] for i in range(offset, len(lines))), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                end = offset + reader.line_num
                if cells:
                    yield start, end, cells
                start = end
        except csv.Error:
            yield start, start + 1, None
            start += 1


def read_header(rows: Iterator[ParsedRow]) -> list[str]:
    """The cells of the first row, stripped; an empty list if the file is empty or that row is broken."""
    _, _, cells = next(rows, (0, 0, None))
    return [cell.strip() for cell in cells or []]


def detect_delimiter(lines: list[str], names: list[str]) -> str:
    """The delimiter whose header holds most of the columns in ``names``; at a tie, the one with most columns."""

    def columns_found(delimiter: str) -> tuple[int, int]:
        columns = read_header(parse_rows(lines, delimiter))
        return len(set(columns) & set(names)), len(columns)

    return max(DELIMITERS, key=columns_found)
