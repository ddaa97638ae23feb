"""The column mapping of params: text, label, split and group attributes from the columns of any source."""

import math
from itertools import pairwise
from typing import Any

import pandas as pd

from pipeline.core import annotation_fields
from pipeline.core.errors import UserError
from pipeline.core.param_errors import quote_value
from pipeline.core.params import Ingest
from pipeline.core.table import GROUP_PREFIX, normalise
from pipeline.sources.cell_text import cell_text
from pipeline.sources.decoding import escape_invalid, has_invalid
from pipeline.sources.label_cells import read_label
from pipeline.sources.source import SPLITS, Record, Source


def map_columns(sources: list[Source], params: Ingest) -> pd.DataFrame:
    """One table of all records, in their order: split, file, row, raw, label, answers, reason, group.*.

    ``raw`` is the text as it was read. ``answers`` is the id of the pool row that an answer is about, null for other
    rows. ``reason`` says why a row cannot be used, null for usable rows. Raises UserError for a missing column, an
    unknown split, and bins of an unknown attribute.
    """
    edges = {attr: bin_edges(attr, params) for attr in params.group_bins}
    rows = []
    for source in sources:
        check_columns(source, params)
        rows += [map_record(record, source, params, edges) for record in source.records]
    groups = [GROUP_PREFIX + attr for attr in params.columns.groups]
    names = ["split", "file", "row", "raw", "label", "answers", "reason", *groups]
    dtypes = {name: "int64" if name == "row" else "str" for name in names}
    return pd.DataFrame(rows, columns=names).astype(dtypes)


def map_record(record: Record, source: Source, params: Ingest, edges: dict[str, list[float]]) -> dict[str, Any]:
    """One record as a row of the table, by column name; ``edges`` are the bins of the binned attributes."""
    row = {"split": source.split, "file": source.name, "row": record.row, "raw": escape_invalid(record.raw)}
    if record.fault:
        return row | {"reason": record.fault}
    cells = {name: cell_text(value) for name, value in record.cells.items()}
    columns = params.columns
    raw = params.join.join(part for name in columns.text if (part := cells.get(name, "")).strip())
    row["raw"] = escape_invalid(raw)
    if any(map(has_invalid, cells.values())):
        return row | {"reason": f"not valid {source.encoding.upper()}"}
    row["answers"] = normalise(cells.get(annotation_fields.ID, "")) or None
    if columns.split and source.split == "train" and columns.split in cells:
        row["split"] = parse_split(cells[columns.split], record, source, columns.split)
    if columns.label and row["split"] != "unlabelled":
        label, fault = read_label(record.cells[columns.label])
        if label and has_invalid(label):  # an escape within a JSON list
            return row | {"reason": "not valid UTF-8"}
        row |= {"label": label, "reason": fault}
    for attr, column in columns.groups.items():
        row[GROUP_PREFIX + attr] = read_group(record.cells.get(column), edges.get(attr))
    return row


def read_group(value: Any, edges: list[float] | None) -> str | None:
    """The group that a cell names, binned by ``edges`` if there are any; a list of several stays a text."""
    group, fault = read_label(value)
    text = normalise(cell_text(value)) if fault else group or ""
    return bin_name(text, edges) if edges else text or None


def check_columns(source: Source, params: Ingest) -> None:
    """Raises UserError if a source lacks a column that params name.

    Unlabelled rows need their text only. Answers need no split and no groups: they inherit those of the pool row that
    they are about. A source without any column is an empty file, which a later check reports.
    """
    if not source.columns:
        return
    needed = list(params.columns.text)
    has_answers = annotation_fields.ID in source.columns
    if source.split != "unlabelled":
        groups = () if has_answers else params.columns.groups.values()
        needed += [name for name in (params.columns.label, *groups) if name]
    if source.split == "train" and params.columns.split and not has_answers:
        needed.append(params.columns.split)
    missing = [name for name in needed if name not in source.columns]
    if missing:
        raise UserError(
            f"{source.name}: expected the columns {', '.join(needed)}; missing {', '.join(missing)}, "
            f"found {describe_header(source.columns)}; correct ingest.columns"
        )


def describe_header(columns: list[str]) -> str:
    """The column names for a message; only their number if they look like a first row of data.

    A name has at most three words and 40 printable characters. Any other cell makes it a row, whose text no message may
    quote.
    """
    if all(len(name.split()) <= 3 and len(name) <= 40 and name.isprintable() for name in columns):
        return ", ".join(columns[:20]) + (f" and {len(columns) - 20:,} more" if len(columns) > 20 else "")
    return f"a first row of {len(columns)} cells that are no names (is there a header?)"


def parse_split(value: str, record: Record, source: Source, column: str) -> str:
    """The split that a row's cell ``value`` names. Raises UserError if it is none of SPLITS."""
    if value.strip() not in SPLITS:
        raise UserError(
            f"{source.name}:{record.row}: expected {', '.join(SPLITS)} in the column {column}, "
            f"found {quote_if_short(value)}; correct it, or set ingest.columns.split to null"
        )
    return value.strip()


def quote_if_short(value: str) -> str:
    """A cell for a message, quoted if it is one word; a longer one may be the text of a row, so its length is given."""
    return quote_value(value) if len(value.split()) <= 1 and len(value) <= 30 else f"{len(value)} characters"


def bin_edges(attr: str, params: Ingest) -> list[float]:
    """The edges of an attribute's bins.

    Raises UserError if ``ingest.columns.groups`` has no such attribute, or if the edges do not rise.
    """
    edges = params.group_bins[attr]
    if attr not in params.columns.groups:
        known = ", ".join(params.columns.groups) or "none"
        raise UserError(f"ingest.group_bins.{attr}: expected an attribute of ingest.columns.groups, found {known}")
    if any(low >= high for low, high in pairwise(edges)):
        raise UserError(f"ingest.group_bins.{attr}: expected edges that rise, found {edges}; sort them")
    return edges


def bin_name(value: str, edges: list[float]) -> str | None:
    """Name of the bin of a number: edges 30 and 45 make <30, 30-44 and >=45; None if ``value`` is no number."""
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
            are_whole = float(low).is_integer() and float(high).is_integer()
            return f"{low:g}-{high - 1:g}" if are_whole else f"{low:g} to <{high:g}"
    return f">={edges[-1]:g}"
