"""Values that look like a list, an object, several values at once, or the header of their column."""

import json
import re

import pandas as pd

from pipeline.core.table import normalise
from pipeline.sources.cell_text import cell_text
from pipeline.sources.spelling import look_alike_key
from pipeline.stages.ingest.doubts import Doubt, Proposal
from pipeline.stages.ingest.quoting import count_rows, quote_name

CONTAINER = re.compile(r"\[.*\]|\{.*\}|\(['\"].*\)", re.DOTALL)
SEPARATORS = re.compile(r"\s*[,;|/&+\t]\s*")
MOST_HEADERS = 0.1  # share of the rows; a class of more rows that is named like its column is no header


def container_doubts(counts: "pd.Series[int]", keep: tuple[str, ...]) -> list[Doubt]:
    """A doubt for each value in brackets, and for each that joins values which other rows have by themselves.

    ``counts`` gives the rows of each value.
    """
    names = {look_alike_key(str(name)): str(name) for name in counts.index}
    doubts = []
    for value in map(str, counts.index):
        if value in keep:
            continue
        shown = f"{quote_name(value)} ({count_rows(int(counts[value]))})"
        if CONTAINER.fullmatch(value):
            entry = only_entry(value) or names.get(look_alike_key(value[1:-1]))
            proposal = Proposal(rename={value: entry}) if entry else Proposal(drop=(value,))
            meaning = "that entry" if entry else "set aside"
            doubts.append(Doubt(f"{shown} looks like a list or an object", (value,), proposal, meaning))
        elif parts := joined_values(value, names):
            sentence = f"{shown} looks like {' and '.join(map(quote_name, parts))} at once"
            doubts.append(Doubt(sentence, (value,), Proposal(drop=(value,)), "set aside"))
    return doubts


def only_entry(value: str) -> str | None:
    """The one text or number in a JSON object or list, such as "a" of {"label": "a"}; None if it has not just one."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return None
    while isinstance(content, dict | list) and len(content) == 1:
        content = next(iter(content.values())) if isinstance(content, dict) else content[0]
    return None if content is None or isinstance(content, dict | list) else normalise(cell_text(content)) or None


def joined_values(value: str, names: dict[str, str]) -> list[str]:
    """The values that ``value`` joins with commas or the like; empty if a part of it is none of ``names``."""
    parts = [names.get(look_alike_key(part)) for part in SEPARATORS.split(value) if part]
    return [part for part in parts if part] if len(parts) > 1 and all(parts) and value not in parts else []


def header_doubts(counts: "pd.Series[int]", keep: tuple[str, ...], column: str) -> list[Doubt]:
    """A doubt if a rare value is the name of its column, as where files were joined with their headers."""
    limit = MOST_HEADERS * counts.sum()
    return [
        Doubt(
            f"{quote_name(value)} ({count_rows(int(counts[value]))}) looks like the header of the column",
            (value,),
            Proposal(drop=(value,)),
            "set aside",
        )
        for value in map(str, counts.index)
        if look_alike_key(value) == look_alike_key(column) and counts[value] < limit and value not in keep
    ]
