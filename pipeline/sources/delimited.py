"""CSV and TSV to records, without losing the rest of a file to one bad row."""

import csv
import io
from collections.abc import Iterator

from pipeline.core.errors import UserError
from pipeline.sources.source import Record

DELIMITERS = (",", ";", "\t", "|")
LARGEST_CELL = 2**31 - 1  # characters; the csv module stops at 131,072 unless told otherwise


def read(text: str, name: str, names: list[str], delimiter: str | None) -> tuple[list[str], list[Record]]:
    """All columns of the header, and the records with the cells of the columns in ``names``.

    Raises UserError where a column stands twice in the header.
    """
    csv.field_size_limit(LARGEST_CELL)
    lines = list(io.StringIO(text, newline=""))
    parsed = parse(lines, delimiter or detect(lines, names))
    columns = header(parsed)
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise UserError(f"{name}:1: expected each column once, found {', '.join(twice)} more than once; rename it")
    places = {column: columns.index(column) for column in names if column in columns}
    records = []
    for start, end, cells in parsed:
        if cells is None:
            records.append(Record(start + 1, {}, "broken quotes", lines[start]))
        elif len(cells) != len(columns):
            fault = f"{'fewer' if len(cells) < len(columns) else 'more'} cells than columns"
            records.append(Record(start + 1, {}, fault, "".join(lines[start:end])))
        else:
            records.append(Record(start + 1, {column: cells[place] for column, place in places.items()}))
    return columns, records


def parse(lines: list[str], delimiter: str) -> Iterator[tuple[int, int, list[str] | None]]:
    """Start, end and cells of each row that is not blank; the cells are None where the quotes make no sense.

    A quote that is opened and never closed would swallow the rest of the file: only its own line is given up, and
    reading goes on with the next.
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


def header(parsed: Iterator[tuple[int, int, list[str] | None]]) -> list[str]:
    """The first row's cells, or none where the file is empty or that row is broken."""
    _, _, cells = next(parsed, (0, 0, None))
    return [cell.strip() for cell in cells or []]


def detect(lines: list[str], names: list[str]) -> str:
    """The delimiter whose header holds most of the wanted columns; of equals, the one with most columns."""

    def fit(delimiter: str) -> tuple[int, int]:
        columns = header(parse(lines, delimiter))
        return len(set(columns) & set(names)), len(columns)

    return max(DELIMITERS, key=fit)
