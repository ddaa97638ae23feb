"""Rows of a text file for `predict` and `explain`: CSV, JSON Lines or plain lines, read one row at a time.

No row is dropped: a row whose text cannot be used is a Row with a fault.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from pipeline.core.errors import UserError
from pipeline.sources.delimited import DELIMITERS

LONGEST_CELL = 2**26  # characters; a longer cell is a quote that was never closed
FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".txt": "lines"}


@dataclass(frozen=True)
class Row:
    """One row: its content, and its text or the fault that makes it unusable."""

    line: int  # from 1; in a CSV row of several lines, the last
    content: Any  # list of cells of a CSV row or a plain line, dict of a JSON line
    text: str = ""
    fault: str | None = None


@dataclass(frozen=True)
class TextRows:
    """The rows of an input, and its format."""

    rows: Iterator[Row]
    header: list[str] | None  # None for JSON Lines
    delimiter: str = ","


def replace_invalid(text: str) -> str:
    """``text`` with U+FFFD for each byte that was not UTF-8 and for each half of a surrogate pair."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@contextmanager
def open_text(source: str) -> Iterator[TextIO]:
    """A text stream of the file ``source``, or of standard input for ``-``.

    Bytes that are not UTF-8 become lone surrogates, so that each row can be checked later. Raises UserError if the file
    cannot be opened or the ending of its name is unknown.
    """
    binary = sys.stdin.buffer if source == "-" else open_file(source)
    stream = TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield stream
    finally:
        stream.detach()  # closing the stream would close standard input
        if source != "-":
            binary.close()


def open_file(source: str) -> BinaryIO:
    """A binary stream of a file. Raises UserError if the ending of its name is unknown or it cannot be opened."""
    ending = Path(source).suffix.lower()
    if ending not in FORMATS:
        raise UserError(
            f"{source}: expected a file that ends in {', '.join(FORMATS)}, found {ending or 'no ending'}; "
            "convert it, or pipe it in as -"
        )
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise UserError(f"{source}: expected a readable file, found: {error.strerror}; check the path") from None


def read_rows(stream: TextIO, name: str, text_column: str) -> TextRows:
    """The rows of an input, read as they are iterated; the format follows from the name, or from the first line.

    Raises UserError if the input is empty or in UTF-16, or has no ``text_column``.
    """
    first = stream.readline()
    if not first:
        raise UserError(f"{name}: expected at least one row, found an empty file")
    if first.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        raise UserError(f"{name}: expected UTF-8, found UTF-16; save it as UTF-8")
    lines = chain([first], stream)
    row_format = FORMATS.get(Path(name).suffix.lower()) or detect_format(first, text_column)
    if row_format == "csv":
        return read_csv(lines, first, name, text_column)
    if row_format == "jsonl":
        check_first_object(first, name, text_column)
        return TextRows(read_jsonl(lines, name, text_column), None)
    return TextRows(read_lines(lines), [text_column])


def detect_format(first: str, text_column: str) -> str:
    """The format by the first line: jsonl for a JSON object, csv for a header with the column, else lines."""
    if isinstance(parse_json(first), dict):
        return "jsonl"
    return "csv" if find_header(first, text_column) else "lines"


def find_header(first: str, text_column: str) -> tuple[str, list[str]] | None:
    """Delimiter and column names of a CSV header that has ``text_column``; None if no delimiter yields one."""
    for delimiter in DELIMITERS:
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if text_column in names:
            return delimiter, names
    return None


def read_csv(lines: Iterable[str], first: str, name: str, text_column: str) -> TextRows:
    """The rows of a CSV file with a header, whose delimiter is detected.

    Raises UserError if the header does not have ``text_column`` exactly once.
    """
    delimiter_and_header = find_header(first, text_column)
    if delimiter_and_header is None:
        raise UserError(
            f"{name}: expected a column {text_column}, found the header {replace_invalid(first.strip())[:100]}; "
            "name the column that holds the text"
        )
    delimiter, header = delimiter_and_header
    if header.count(text_column) > 1:
        raise UserError(f"{name}: expected one column {text_column}, found several; rename the others")
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter)
    return TextRows(csv_rows(reader, header, header.index(text_column), name), header, delimiter)


def csv_rows(reader: Any, header: list[str], text_index: int, name: str) -> Iterator[Row]:
    """One Row for each row under the header, blank ones included, so that rows in and rows out stay aligned.

    Raises UserError, with the line, if the csv module cannot read a row.
    """
    width = len(header)
    try:
        next(reader)
        for cells in reader:
            line = reader.line_num
            if len(cells) > width:  # nobody can know which cell is the text; the surplus stays in the last cell
                rest = " ".join(cells[width - 1 :])
                yield Row(line, [*cells[: width - 1], rest], fault="with more cells than the header")
            else:
                cells += [""] * (width - len(cells))
                yield Row(line, cells, cells[text_index], fault_of(cells[text_index]))
    except csv.Error as error:
        raise UserError(
            f"{name}:{reader.line_num}: expected a CSV row, found: {error}; look for an open quote"
        ) from None


def read_jsonl(lines: Iterable[str], name: str, text_column: str) -> Iterator[Row]:
    """One Row for each line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        content = parse_json(line)
        if not isinstance(content, dict):
            yield Row(number, {}, fault="not a JSON object")
            continue
        text = content.get(text_column)
        if text is None or isinstance(text, str):
            yield Row(number, content, text or "", fault_of(text or ""))
        else:
            yield Row(number, content, fault="not a text")


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


def parse_json(line: str) -> Any:
    """The value of a JSON line; None if it is not valid JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def check_first_object(first: str, name: str, text_column: str) -> None:
    """Raises UserError if the first line is no JSON object or has no key ``text_column``."""
    content = parse_json(first)
    if not isinstance(content, dict):
        raise UserError(f"{name}:1: expected JSON Lines, one object a line, found something else; convert it")
    if text_column not in content:
        raise UserError(
            f"{name}:1: expected a key {text_column}, found {', '.join(content)}; name the key that holds the text"
        )
