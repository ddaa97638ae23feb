"""Rejection of duplicates: no text is in two splits, contradicts itself, or is in a split twice."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import annotation_fields, rejection_reasons
from pipeline.core.table import row_id
from pipeline.sources.cleaning import reject
from pipeline.stages.ingest.prepare import id_numbers
from pipeline.stages.ingest.row_files import TextFile


def reject_duplicates(rows: pd.DataFrame, texts: TextFile, source: str, whole_test: bool) -> pd.DataFrame:
    """The rows with a reason for each duplicate that must not stay, and with unique ids.

    With ``whole_test``, every test row stays, so that results on published test sets are comparable; a repeated text
    there gets a new id. ``rows`` have the columns split, key, group, id, label, answers and reason; ``texts`` are their
    texts by the index, and ``source`` is the name of the data.
    """
    rows = reject_across_splits(rows)
    is_kept = rows["split"].eq("test") & whole_test
    rows = reject_contradictions(rows, is_kept)
    rows = reject_repetitions(rows, is_kept)
    return make_ids_unique(rows, texts, source)


def reject_across_splits(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a reason for each duplicate of a test row, then of a validation row, in a later split."""
    for held_out in ("test", "validation"):
        is_usable = rows["split"].eq(held_out) & rows["reason"].isna()
        groups = rows.loc[is_usable, "group"]
        in_later_split = ~rows["split"].isin(["test", held_out])
        rows = reject(rows, rows["group"].isin(groups) & in_later_split, rejection_reasons.HELD_OUT[held_out])
    return rows


def reject_contradictions(rows: pd.DataFrame, is_kept: "pd.Series[bool]") -> pd.DataFrame:
    """The rows with a reason for each labelled row whose exact duplicates in its split have other labels."""
    labelled = rows.loc[rows["reason"].isna() & rows["label"].notna() & ~is_kept, ["split", "key", "label"]]
    labels = labelled.groupby(["split", "key"], observed=True)["label"].transform("nunique")
    return reject(rows, labels.reindex(rows.index, fill_value=0).gt(1), annotation_fields.CONFLICT)


def reject_repetitions(rows: pd.DataFrame, is_kept: "pd.Series[bool]") -> pd.DataFrame:
    """The rows with a reason for each row whose id another one has.

    The labelled answer stays before any other row, then a labelled row before an unlabelled one; of equals, the first.
    """
    usable = rows.loc[rows["reason"].isna() & ~is_kept, ["id", "label", "answers"]]
    order = usable["label"].isna() * 2 + usable["answers"].isna().eq(usable["label"].notna())
    repeated = usable.loc[order.sort_values(kind="stable").index, "id"].duplicated()
    repeated = repeated.reindex(rows.index, fill_value=False)
    labelled = rows["id"].isin(usable.loc[usable["label"].notna(), "id"])
    rows = reject(rows, repeated & labelled & rows["label"].isna(), rejection_reasons.LABELLED_ELSEWHERE)
    return reject(rows, repeated, rejection_reasons.REPEATED)


def make_ids_unique(rows: pd.DataFrame, texts: TextFile, source: str) -> pd.DataFrame:
    """The rows, with a new id for each usable row whose id an earlier one has: it counts the occurrence in."""
    usable = rows.loc[rows["reason"].isna(), "id"]
    repeated = usable[usable.duplicated(keep=False)]
    occurrence = repeated.groupby(repeated).cumcount()
    later = occurrence[occurrence > 0]
    pairs = zip(later, texts.take(later.index.to_numpy()), strict=True)
    ids = id_numbers([row_id(f"{source}\0{n}", text) for n, text in pairs])
    return rows.assign(id=rows["id"].mask(rows.index.isin(later.index), pd.Series(ids, later.index, dtype="uint64")))


def source_ids(rows: pd.DataFrame) -> "pd.Series[Any]":
    """For each of the usable ``rows``, the id of the first row of its group; gold rows come before the pool."""
    order = np.argsort(rows["split"].eq("unlabelled").to_numpy(), kind="stable")
    groups, ids = rows["group"].to_numpy(), rows["id"].to_numpy()
    _, first, inverse = np.unique(groups[order], return_index=True, return_inverse=True)
    source_id = np.empty_like(ids)
    source_id[order] = ids[order[first]][inverse]
    return pd.Series(source_id, rows.index, dtype="uint64")
