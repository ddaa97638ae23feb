"""The records of a text file: lines of JSON, records of delimited files, or plain lines. Others stay byte for byte."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from pipeline.core.table import strip_apostrophe
from pipeline.labelling.forgetting.wanted import SHORTEST_QUOTE, Wanted

DELIMITERS = (",", ";", "\t", "|")
HEADER = {"text", "id"}  # a first record with one of these names columns
LONGEST_CELL = 1 << 24  # characters


def search_records(text: str, wanted: Wanted) -> tuple[list[int], str]:
    """The numbers of the records (from 1, a header included) that hold a wanted row, and the text without them."""
    if text.lstrip().startswith("{"):
        return search_lines(text, wanted)
    rows: set[int] = set()
    for delimiter in DELIMITERS:
        kept = []
        header: list[str] | None = None
        for number, (raw, cells) in enumerate(read_records(text, delimiter), start=1):
            if header is None:
                header = cells if HEADER & {*cells} or {*wanted.params.columns.text} <= {*cells} else []
                is_hit = not header and any(map(wanted.is_wanted, cell_forms(cells, raw, wanted)))
            else:
                others = [cell for name, cell in zip(header, cells, strict=False) if name not in wanted.other_columns]
                shown = others + cells[len(header) :]
                is_hit = any(map(wanted.is_wanted, cell_forms(shown, raw, wanted)))
            if is_hit:
                rows.add(number)
            else:
                kept.append(raw)
        text = "".join(kept)
    return sorted(rows), text


def search_lines(text: str, wanted: Wanted) -> tuple[list[int], str]:
    """The same for lines of JSON."""
    rows, kept = [], []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        try:
            values = list(strings(json.loads(line), wanted))
        except (ValueError, RecursionError):
            values = [line]
        if any(map(wanted.is_wanted, values)):
            rows.append(number)
        else:
            kept.append(line)
    return rows, "".join(kept)


def read_records(text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Each record of a delimited text as it is written, with its cells. A file that csv cannot read comes by lines."""
    lines = text.splitlines(keepends=True)
    used: list[str] = []

    def taken() -> Iterator[str]:
        for line in lines:
            used.append(line)
            yield line

    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(taken(), delimiter=delimiter)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error:
                cells = []
            raw = "".join(used)
            used.clear()
            yield raw, cells
    finally:
        csv.field_size_limit(limit)
    if used:
        yield "".join(used), []


def cell_forms(cells: list[str], raw: str, wanted: Wanted) -> Iterator[str]:
    """What a record may hold as the text of a row: the whole line, each cell, or several cells joined."""
    yield raw
    for cell in cells:
        yield cell
        yield strip_apostrophe(cell)
    count = len(wanted.params.columns.text)
    if count > 1:
        for start in range(len(cells) - count + 1):
            yield wanted.params.join.join(cells[start : start + count])


def strings(content: Any, wanted: Wanted) -> Iterator[str]:
    """Every string value in a JSON document, and the joined text of an object with all text columns.

    Names of keys do not count, nor do short items of lists, which are names of something.
    """
    names = wanted.params.columns.text
    todo = [content]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            if len(names) > 1 and all(isinstance(value.get(name), str) for name in names):
                yield wanted.params.join.join(value[name] for name in names)
            todo += [inner for name, inner in value.items() if name not in wanted.other_columns]
        elif isinstance(value, list):
            todo += [inner for inner in value if not isinstance(inner, str) or len(inner) >= SHORTEST_QUOTE]
