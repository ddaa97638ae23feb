"""The params' mapping: text, label, split and group attributes out of whatever columns a source has."""

import json
import math
from itertools import pairwise
from typing import Any

import pandas as pd

from pipeline.core import annotation_fields
from pipeline.core.errors import UserError
from pipeline.core.param_errors import found
from pipeline.core.params import Ingest
from pipeline.core.table import GROUP, normalise
from pipeline.sources.decode import is_broken, printable
from pipeline.sources.source import SPLITS, Record, Source


def map_columns(sources: list[Source], params: Ingest) -> pd.DataFrame:
    """One table of all records, in their order: split, file, row, raw, label, answers, reason, group.*.

    ``raw`` is the text as read; ``answers`` the id of the pool row that an answer is about, and null for other rows;
    ``reason`` says why the row cannot be used and is null for the others.
    Raises UserError for a missing column, an unknown split value, and bins of an unknown attribute.
    """
    edges = {attr: checked_edges(attr, params) for attr in params.group_bins}
    rows = []
    for source in sources:
        check_columns(source, params)
        rows += [map_record(record, source, params, edges) for record in source.records]
    names = [
        "split",
        "file",
        "row",
        "raw",
        "label",
        "answers",
        "reason",
        *(GROUP + attr for attr in params.columns.groups),
    ]
    kinds = {name: "int64" if name == "row" else "str" for name in names}
    return pd.DataFrame(rows, columns=names).astype(kinds)


def map_record(record: Record, source: Source, params: Ingest, edges: dict[str, list[float]]) -> dict[str, Any]:
    """One record as a row of the table."""
    row = {"split": source.split, "file": source.name, "row": record.row, "raw": printable(record.raw)}
    if record.fault:
        return row | {"reason": record.fault}
    cells = {name: plain(value) for name, value in record.cells.items()}
    columns = params.columns
    raw = params.join.join(part for name in columns.text if (part := cells.get(name, "")).strip())
    row["raw"] = printable(raw)
    if any(map(is_broken, cells.values())):
        return row | {"reason": f"not valid {source.encoding.upper()}"}
    row["answers"] = normalise(cells.get(annotation_fields.ID, "")) or None
    if columns.split and source.split == "train" and columns.split in cells:
        row["split"] = given_split(cells[columns.split], record, source, columns.split)
    if columns.label and row["split"] != "unlabelled":
        row["label"] = normalise(cells[columns.label]) or None
    for attr, column in columns.groups.items():
        value = normalise(cells.get(column, ""))
        row[GROUP + attr] = bin_name(value, edges[attr]) if attr in edges else value or None
    return row


def check_columns(source: Source, params: Ingest) -> None:
    """Raise UserError for a column that params name and the source lacks; unlabelled rows need only their text.

    Answers need no split and no groups either: they inherit those of the pool row that they are about. An empty file
    has no columns, and is reported as such later.
    """
    if not source.columns:
        return
    needed = list(params.columns.text)
    ours = annotation_fields.ID in source.columns
    if source.split != "unlabelled":
        groups = () if ours else params.columns.groups.values()
        needed += [name for name in (params.columns.label, *groups) if name]
    if source.split == "train" and params.columns.split and not ours:
        needed.append(params.columns.split)
    missing = [name for name in needed if name not in source.columns]
    if missing:
        raise UserError(
            f"{source.name}: expected the columns {', '.join(needed)}; missing {', '.join(missing)}, "
            f"found {header(source.columns)}; correct ingest.columns"
        )


def header(columns: list[str]) -> str:
    """The names of the columns, unless they are the cells of a first row in a file without a header.

    A name has no more than three words; one cell that is longer makes all of them a row, whose text is not told.
    """
    if all(len(name.split()) <= 3 and len(name) <= 40 for name in columns):
        return ", ".join(columns)
    return f"a first row of {len(columns)} cells that are no names (is there a header?)"


def plain(value: Any) -> str:
    """A cell as text; a whole number has no decimal point, whatever type the source gave it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def given_split(value: str, record: Record, source: Source, column: str) -> str:
    """The split that a row names for itself."""
    if value.strip() not in SPLITS:
        raise UserError(
            f"{source.name}:{record.row}: expected {', '.join(SPLITS)} in the column {column}, found {short(value)}; "
            "correct it, or set ingest.columns.split to null"
        )
    return value.strip()


def short(value: str) -> str:
    """A cell that should have held one word: anything longer may be the text of a row, and is not told."""
    return found(value) if len(value.split()) <= 1 and len(value) <= 30 else f"{len(value)} characters"


def checked_edges(attr: str, params: Ingest) -> list[float]:
    """The edges of an attribute's bins; they must rise, and belong to an attribute that exists."""
    edges = params.group_bins[attr]
    if attr not in params.columns.groups:
        known = ", ".join(params.columns.groups) or "none"
        raise UserError(f"ingest.group_bins.{attr}: expected an attribute of ingest.columns.groups, found {known}")
    if any(low >= high for low, high in pairwise(edges)):
        raise UserError(f"ingest.group_bins.{attr}: expected edges that rise, found {edges}; sort them")
    return edges


def bin_name(value: str, edges: list[float]) -> str | None:
    """The bin of a number: edges 30 and 45 make <30, 30-44 and >=45; what is no number is a missing value."""
    try:
        number = float(value)
    except ValueError:
        return None
    if math.isnan(number):
        return None
    if number < edges[0]:
        return f"<{edges[0]:g}"
    for low, high in pairwise(edges):
        if number < high:
            whole = float(low).is_integer() and float(high).is_integer()
            return f"{low:g}-{high - 1:g}" if whole else f"{low:g} to <{high:g}"
    return f">={edges[-1]:g}"
