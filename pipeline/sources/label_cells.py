"""The label that a cell holds, where annotation tools write lists and objects: ``["billing"]``, ``{"choices": [...]}``.

A list may come as such (JSON, Parquet, a database) or as its text: JSON, a Python list, set or tuple, or a NumPy array.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterable
from typing import Any

from pipeline.core.table import normalise
from pipeline.sources.cell_text import cell_text, is_numpy

SEVERAL = "several labels in one cell"
CHOICES_KEY = "choices"  # of the object that Label Studio writes into its CSV and JSON-MIN exports
EMPTY = {"()", "set()", "array([])"}
BRACKETS = {"[": "]", "{": "}", "(": ")"}
NUMPY_CALL = re.compile(r"array\((.*?)(?:,\s*dtype=[^()\[\]]*)?\)", re.DOTALL)
NUMPY_NUMBERS = re.compile(r"\[\s*[-+]?[\d.]+(?:\s+[-+]?[\d.]+)*\s*\]")
LONGEST_CONTAINER = 10_000  # characters; a longer cell holds no list of labels


def read_label(value: Any) -> tuple[str | None, str | None]:
    """The label of a cell, or None where it has none, and the fault of a cell that holds several.

    A container with one entry is that label, an empty one is no label. An object that is not Label Studio's stays a
    text, which the check of the labels points out.
    """
    labels = entries_of(value)
    if labels is None:
        return normalise(cell_text(value)) or None, None
    distinct = list(dict.fromkeys(label for label in labels if label))
    return (None, SEVERAL) if len(distinct) > 1 else (distinct[0] if distinct else None, None)


def entries_of(value: Any) -> list[str] | None:
    """The labels in a container, empty ones included; None if ``value`` is no container of labels."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        value = parse_container(value.strip())
    if is_numpy(value):
        value = value.tolist()
    if isinstance(value, dict):
        return [] if not value else flatten_entries([value[CHOICES_KEY]]) if set(value) == {CHOICES_KEY} else None
    return flatten_entries(value) if isinstance(value, list | tuple | set | frozenset) else None


def flatten_entries(values: Iterable[Any]) -> list[str] | None:
    """The labels in a list, lists within it included; None if one of its entries is an object of unknown keys."""
    labels: list[str] = []
    for value in values:
        inner = entries_of(value)
        if inner is None and isinstance(value, dict):
            return None
        labels += [normalise(cell_text(value))] if inner is None else inner
    return labels


def parse_container(text: str) -> Any:
    """The list, set, tuple or object that a text spells; None if it spells none."""
    if text in EMPTY:
        return []
    if call := NUMPY_CALL.fullmatch(text):
        text = call[1].strip()
    if not text or BRACKETS.get(text[0]) != text[-1] or len(text) > LONGEST_CONTAINER:
        return None
    if NUMPY_NUMBERS.fullmatch(text):
        return text[1:-1].split()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = parse_python(text)
    return value if isinstance(value, list | tuple | set | dict) else None


def parse_python(text: str) -> Any:
    """The value of a Python literal; None if ``text`` is none.

    NumPy puts no commas between entries, so ``['a' 'b']`` is several entries although Python joins adjacent strings.
    """
    try:
        value = ast.literal_eval(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
        return None
    strings = [token.string for token in tokens if token.type == tokenize.STRING]
    is_flat = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return [ast.literal_eval(string) for string in strings] if is_flat and len(strings) > len(value) else value
