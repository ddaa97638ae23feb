"""Rows of a text file for `predict` and `explain`, read one at a time by the readers of `ingest`.

No row is dropped: a row whose text cannot be used is a Row with a fault.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from pipeline.core.errors import UserError
from pipeline.sources import delimited, json_rows
from pipeline.sources.columns import describe_header
from pipeline.sources.lookahead import Lookahead
from pipeline.sources.text_format import (
    NAMES_BY_FORMAT,
    TEXT_NAMES,
    Choice,
    detect_format,
    find_delimiter,
    find_text_column,
)

FIRST_ROWS = 100  # of a JSON file, whose keys are known before the first row is classified


@dataclass(frozen=True)
class Row:
    """One row: its content, and its text or the fault that makes it unusable."""

    line: int  # from 1; in a CSV row of several lines, the last; in a JSON list, the number of the object
    content: Any  # list of cells of a CSV row or a plain line, dict of a JSON object
    text: str = ""
    fault: str | None = None


@dataclass(frozen=True)
class TextRows:
    """The rows of an input, and its format."""

    rows: Iterator[Row]
    header: list[str] | None  # None for JSON
    reading: str  # how the input is read, for people
    delimiter: str = ","


def replace_invalid(text: str) -> str:
    """``text`` with U+FFFD for each byte that was invalid and for each half of a surrogate pair."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_rows(lines: Iterable[str], name: str, choice: Choice) -> TextRows:
    """The rows of an input, read as they are iterated; ``name`` is the file's name, or "standard input".

    Raises UserError if the input is empty, if its format cannot be told, or if it has no text column.
    """
    ahead = Lookahead(lines)
    first = delimited.sample_lines(ahead)
    if not first:
        raise UserError(f"{name}: expected at least one row, found an empty file")
    row_format = detect_format(first, name, choice)
    whole = iter(ahead.take, None)
    if row_format == "jsonl":
        return read_json(whole, name, choice)
    if row_format == "lines":
        return TextRows(read_lines(whole), [choice.text_column or "text"], "plain lines, one text each")
    return read_csv(whole, name, row_format, find_delimiter(first, row_format, choice), choice)


def read_csv(lines: Iterable[str], name: str, row_format: str, delimiter: str, choice: Choice) -> TextRows:
    """The rows of a delimited file with a header. Raises UserError if the header has no text column."""
    table = delimited.read_table(lines, name, [choice.text_column] if choice.text_column else [], delimiter)
    column = find_text_column(table.columns, choice)
    if column is None:
        wanted = f"a column {choice.text_column}" if choice.text_column else "one column that is known to hold texts"
        raise UserError(
            f"{name}: expected {wanted}, found the header {describe_header(table.columns)}; "
            f"name the column with --text-column, or the format with {choice.option}"
        )
    reading = f"{NAMES_BY_FORMAT[row_format]}, column {column}"
    return TextRows(csv_rows(table, table.columns.index(column)), table.columns, reading, table.delimiter)


def csv_rows(table: delimited.Table, text_index: int) -> Iterator[Row]:
    """One Row for each row under the header, blank ones included, so that rows in and rows out stay aligned."""
    width = len(table.columns)
    for row in table.rows:
        cells = row.cells + [""] * (width - len(row.cells))
        if len(cells) > width:  # nobody can know which cell is the text; the surplus stays in the last cell
            cells = [*cells[: width - 1], " ".join(cells[width - 1 :])]
        text = "" if row.fault else cells[text_index]
        yield Row(row.end, cells, text, row.fault or fault_of(text))


def read_json(lines: Iterable[str], name: str, choice: Choice) -> TextRows:
    """The rows of a JSON file. Raises UserError if none of the first objects has the key of the text."""
    names = [choice.text_column] if choice.text_column else TEXT_NAMES
    rows = json_rows.read_rows(lines, name, names).rows
    first = list(islice(rows, FIRST_ROWS))
    keys = list(dict.fromkeys(key for row in first for key in row.content))
    column = find_text_column(keys, choice)
    if column is None:
        wanted = choice.text_column or "that is known to hold texts"
        found = replace_invalid(describe_header(keys)) if keys else "no JSON object"
        raise UserError(
            f"{name}: expected JSON objects with a key {wanted}, found {found}; name the key with --text-column, "
            f"or the format with {choice.option}"
        )
    return TextRows((json_row(row, column) for row in chain(first, rows)), None, f"JSON, key {column}")


def json_row(row: json_rows.JsonRow, column: str) -> Row:
    """One row of a JSON file with its text or its fault."""
    text = row.content.get(column)
    if row.fault:
        return Row(row.row, {}, fault=row.fault)
    if text is None or isinstance(text, str):
        return Row(row.row, row.content, text or "", fault_of(text or ""))
    return Row(row.row, row.content, fault="not a text")


def read_lines(lines: Iterable[str]) -> Iterator[Row]:
    """One Row for each line, blank ones included."""
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        yield Row(number, [text], text, fault_of(text))


def fault_of(text: str) -> str | None:
    """Why a text cannot be classified; None if it can."""
    if not text.strip():
        return "empty"
    return "not UTF-8" if text != replace_invalid(text) else None
