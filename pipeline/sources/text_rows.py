"""Rows of a text file as people keep them: CSV, JSON Lines or plain lines, read a row at a time.

Nothing is dropped: a row whose text cannot be used is still a Row, with its fault.
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

LONGEST_CELL = 2**26  # characters; a cell longer than this is a quote that was never closed
FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".txt": "lines"}
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Row:
    """One row: what it held, the text in it, or the fault for which it has none."""

    line: int
    content: Any  # the cells of a CSV row, the object of a JSON line
    text: str = ""
    fault: str | None = None


@dataclass(frozen=True)
class TextRows:
    """The rows of an input and the shape in which it came; a header of None means JSON Lines."""

    rows: Iterator[Row]
    header: list[str] | None
    delimiter: str = ","


def readable(text: str) -> str:
    """The text with a replacement character for each byte that was not UTF-8 and each half of a surrogate pair."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@contextmanager
def opened(source: str) -> Iterator[TextIO]:
    """Text of a file or of standard input; bytes that are not UTF-8 come as lone surrogates, to be found by row.

    Raises UserError for a file that cannot be opened or whose ending is unknown.
    """
    binary = sys.stdin.buffer if source == "-" else open_file(source)
    stream = TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield stream
    finally:
        stream.detach()  # standard input is not ours to close
        if source != "-":
            binary.close()


def open_file(source: str) -> BinaryIO:
    """The file's bytes, if its ending is one that we read."""
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


def read(stream: TextIO, name: str, text_column: str) -> TextRows:
    """Tell the format from the ending, or from the first line of standard input, and start reading."""
    first = stream.readline()
    if not first:
        raise UserError(f"{name}: expected at least one row, found an empty file")
    if first.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        raise UserError(f"{name}: expected UTF-8, found UTF-16; save it as UTF-8")
    lines = chain([first], stream)
    form = FORMATS.get(Path(name).suffix.lower()) or sniff(first, text_column)
    if form == "csv":
        return read_csv(lines, first, name, text_column)
    if form == "jsonl":
        check_object(first, name, text_column)
        return TextRows(read_jsonl(lines, name, text_column), None)
    return TextRows(read_lines(lines), [text_column])


def sniff(first: str, text_column: str) -> str:
    """Format of a first line: a JSON object, a CSV header that has the text column, or else a plain line."""
    if isinstance(parse(first), dict):
        return "jsonl"
    return "csv" if header_of(first, text_column) else "lines"


def header_of(first: str, text_column: str) -> tuple[str, list[str]] | None:
    """Delimiter and column names of a CSV header that has the text column; None where no delimiter shows it."""
    for delimiter in DELIMITERS:
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if text_column in names:
            return delimiter, names
    return None


def read_csv(lines: Iterable[str], first: str, name: str, text_column: str) -> TextRows:
    """Rows of a CSV file with a header; the delimiter is the one that makes the text column appear in it."""
    found = header_of(first, text_column)
    if found is None:
        raise UserError(
            f"{name}: expected a column {text_column}, found the header {readable(first.strip())[:100]}; "
            "name the column that holds the text"
        )
    delimiter, header = found
    if header.count(text_column) > 1:
        raise UserError(f"{name}: expected one column {text_column}, found several; rename the others")
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter)
    return TextRows(csv_rows(reader, header, header.index(text_column), name), header, delimiter)


def csv_rows(reader: Any, header: list[str], place: int, name: str) -> Iterator[Row]:
    """One Row for each row under the header; a blank one counts too, so that rows in and rows out stay aligned."""
    width = len(header)
    try:
        next(reader)
        for cells in reader:
            line = reader.line_num
            if len(cells) > width:  # which cell is the text is anyone's guess; nothing of the row is lost
                rest = " ".join(cells[width - 1 :])
                yield Row(line, [*cells[: width - 1], rest], fault="with more cells than the header")
            else:
                cells += [""] * (width - len(cells))
                yield Row(line, cells, cells[place], fault_of(cells[place]))
    except csv.Error as error:
        raise UserError(
            f"{name}:{reader.line_num}: expected a CSV row, found: {error}; look for an open quote"
        ) from None


def read_jsonl(lines: Iterable[str], name: str, text_column: str) -> Iterator[Row]:
    """One Row for each line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        content = parse(line)
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
    """Why a text cannot be labelled; None if it can."""
    if not text.strip():
        return "empty"
    return "not UTF-8" if text != readable(text) else None


def parse(line: str) -> Any:
    """The JSON value of a line; None where it holds none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def check_object(first: str, name: str, text_column: str) -> None:
    """The first line tells whether the file is JSON Lines at all, and whether it has the text column."""
    content = parse(first)
    if not isinstance(content, dict):
        raise UserError(f"{name}:1: expected JSON Lines, one object a line, found something else; convert it")
    if text_column not in content:
        raise UserError(
            f"{name}:1: expected a key {text_column}, found {', '.join(content)}; name the key that holds the text"
        )
