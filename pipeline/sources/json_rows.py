"""JSON to rows: one object a line, a list of objects, a table under one key, or objects over several lines each."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from pipeline.core.errors import UserError
from pipeline.sources.limits import MAX_BYTES, MAX_JSON_DEPTH, check_limit
from pipeline.sources.lookahead import Lookahead

MAX_DIGITS = 4000  # Python refuses to convert more; such a number is kept as text
MAX_BROKEN_OBJECTS = 1000  # among objects over several lines, after which the file is given up
LIST_START = re.compile(r"\s*\[\s*(\{|$)")  # of a list of objects
SEPARATOR = re.compile(r"[ \t\r\n]*(,[ \t\r\n]*)?")  # between objects; some programs write the comma of a list
NOT_JSON, NOT_AN_OBJECT = "not valid JSON", "not a JSON object"


class JsonRow(NamedTuple):
    """One row of a JSON file."""

    row: int  # number of its line, or of the object in its list, from 1
    content: dict[str, Any]  # empty if the row has a fault
    fault: str | None = None
    raw: str = ""  # the text of a row with a fault


class JsonRows(NamedTuple):
    """The rows of a JSON file, and the whole document if the file is one."""

    rows: Iterator[JsonRow]
    document: Any = None  # None for JSON Lines, which are read as they are iterated


def read_rows(lines: Iterable[str], name: str, names: Collection[str]) -> JsonRows:
    """The rows of a JSON file in any of the layouts; ``names`` are keys that a row should have.

    Raises UserError, with the line, if the file is one broken document.
    """
    ahead = Lookahead(lines)
    ahead.skip_blank_lines()
    first, second = next_filled_lines(ahead)
    try:
        value = parse(first)
    except ValueError:
        return read_document(ahead, first, second, name, names)
    if not second and (objects := find_objects(value, names)) is not None:
        return JsonRows(rows_of_list(objects), value)
    return JsonRows(read_lines(take_all(ahead)))


def next_filled_lines(ahead: Lookahead) -> tuple[str, str]:
    """The next two lines that are not blank, without taking them; empty if there are none."""
    filled = (line for line in ahead.following() if line.strip())
    first, second, *_ = [*islice(filled, 2), "", ""]
    return first, second


def take_all(ahead: Lookahead) -> Iterator[tuple[int, str]]:
    """Every line that follows, with its number."""
    while (line := ahead.take()) is not None:
        yield ahead.number, line


def read_document(ahead: Lookahead, first: str, second: str, name: str, names: Collection[str]) -> JsonRows:
    """The rows of a file whose first line is no JSON of its own: a document over several lines, or a broken line.

    Raises UserError if it is a list that is broken, or too large for the memory.
    """
    start = first.lstrip()[:1]
    are_lines = is_object(second) or (is_object(without_comma(first)) and is_object(without_comma(second)))
    if start not in ("[", "{") or (start == "{" and are_lines):
        return JsonRows(read_lines(take_all(ahead)))
    numbered = list(take_all(ahead))
    text = "".join(line for _, line in numbered)
    check_limit(name, len(text), MAX_BYTES, "characters in one JSON document")
    try:
        document = parse(text)
    except json.JSONDecodeError as error:
        if start == "{":
            return JsonRows(read_objects(text, numbered[0][0], name))
        if not LIST_START.match(first) and is_object(second):
            return JsonRows(read_lines(numbered))  # JSON Lines, of which the first is broken
        line = error.lineno + numbered[0][0] - 1
        raise UserError(
            f"{name}:{line}: expected one whole JSON list, found {error.msg}; export the file anew"
        ) from None
    except ValueError as error:
        if is_object(second):
            return JsonRows(read_lines(numbered))
        raise UserError(f"{name}: expected a JSON document that can be read, found one {error}") from None
    objects = find_objects(document, names)
    return JsonRows(rows_of_list([document] if objects is None else objects), document)


def is_object(line: str) -> bool:
    """Whether a line is a JSON object of its own, as in JSON Lines."""
    try:
        return isinstance(parse(line), dict)
    except ValueError:
        return False


def without_comma(line: str) -> str:
    """The line without a comma at its end, as some programs write it between objects."""
    return line.rstrip().removesuffix(",")


def parse(text: str) -> Any:
    """The value of a JSON text; a number of very many digits stays text.

    Raises ValueError if it is not valid JSON or nested too deeply.
    """
    try:
        value = json.loads(text, parse_int=parse_int)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value, text)
    return value


def parse_int(digits: str) -> int | str:
    """The whole number, or its digits if there are too many."""
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def check_depth(value: Any, text: str) -> None:
    """Raises ValueError if a JSON value is nested too deeply to be written again; ``text`` is its JSON."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [inner for outer in level if isinstance(outer, list | dict) for inner in inner_values(outer)]
        if not level:
            return
    raise ValueError("nested too deeply")


def inner_values(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    """The values inside a list or an object."""
    return value.values() if isinstance(value, dict) else value


def find_objects(document: Any, names: Collection[str]) -> list[Any] | None:
    """The rows of a JSON document; None if it is one row, which has a key of ``names``, or no table.

    A table is a list, an object whose one list of objects is the table, an object of rows under their numbers, or an
    object of columns, which are lists or, as pandas writes them by default, objects that map the number of a row to its
    value.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, dict) or not document:
        return None
    columns = list(document.values())
    has_names = any(is_named(key, names) and not is_table(value) for key, value in document.items())
    if all_objects(columns):
        if not has_names and all(any(is_named(key, names) for key in row) for row in columns):
            return columns
        if columns[0] and all(column.keys() == columns[0].keys() for column in columns):
            return [{name: column[key] for name, column in document.items()} for key in columns[0]]
    if has_names and all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return [dict(zip(document, cells, strict=True)) for cells in zip(*columns, strict=True)]
    tables = [value for value in columns if is_table(value)]
    return tables[0] if len(tables) == 1 and not has_names else None


def is_named(key: str, names: Collection[str]) -> bool:
    """Whether a key is one of ``names``, as it stands or in small letters."""
    return key in names or key.strip().casefold() in names


def is_table(value: Any) -> bool:
    """Whether a value is a list of objects."""
    return isinstance(value, list) and bool(value) and all_objects(value)


def all_objects(values: list[Any]) -> bool:
    """Whether every value is a JSON object."""
    return all(isinstance(value, dict) for value in values)


def rows_of_list(values: list[Any]) -> Iterator[JsonRow]:
    """One row for each value of a list."""
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            yield JsonRow(number, value)
        else:
            yield JsonRow(number, {}, NOT_AN_OBJECT, json.dumps(value, ensure_ascii=False))


def read_lines(lines: Iterable[tuple[int, str]]) -> Iterator[JsonRow]:
    """One row for each line that is not blank."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = parse(without_comma(line) if line.lstrip().startswith("{") else line)
        except ValueError as error:
            fault = NOT_JSON if isinstance(error, json.JSONDecodeError) else str(error)
            yield JsonRow(number, {}, fault, line)
            continue
        if isinstance(value, dict):
            yield JsonRow(number, value)
        else:
            yield JsonRow(number, {}, NOT_AN_OBJECT, line)


def read_objects(text: str, first_line: int, name: str) -> Iterator[JsonRow]:
    """One row for each of several objects over several lines each; a broken one ends where a line begins with ``{``.

    Raises UserError if very many are broken.
    """
    decoder = json.JSONDecoder(parse_int=parse_int)
    position, line, broken = skip_separator(text, 0), first_line, 0
    counted = 0
    while position < len(text):
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = decoder.raw_decode(text, position)
            check_depth(value, text[position:end])
        except (ValueError, RecursionError):
            broken += 1
            if broken > MAX_BROKEN_OBJECTS:
                raise UserError(
                    f"{name}:{line}: expected JSON objects, found very many broken ones; export it anew"
                ) from None
            next_object = text.find("\n{", position)
            end = len(text) if next_object < 0 else next_object + 1
            yield JsonRow(line, {}, NOT_JSON, text[position:end])
        else:
            is_row = isinstance(value, dict)
            raw = "" if is_row else text[position:end]
            yield JsonRow(line, value if is_row else {}, None if is_row else NOT_AN_OBJECT, raw)
        position = skip_separator(text, end)


def skip_separator(text: str, position: int) -> int:
    """The place of the next character that is neither whitespace nor one comma between objects."""
    match = SEPARATOR.match(text, position)
    return match.end() if match else position
