"""Rejection of duplicates: no text is in two splits, contradicts itself, or is in a split twice."""

import pandas as pd

from pipeline.core import annotation_fields, rejection_reasons
from pipeline.core.table import row_id
from pipeline.sources.cleaning import reject


def reject_duplicates(rows: pd.DataFrame, source: str, whole_test: bool) -> pd.DataFrame:
    """The rows with a reason for each duplicate that must not stay, and with unique ids.

    With ``whole_test``, every test row stays, so that results on published test sets are comparable; a repeated text
    there gets a new id. ``rows`` have the columns split, key, group, id, label, answers and reason; ``source`` is the
    name of the data.
    """
    rows = reject_across_splits(rows)
    is_kept = rows["split"].eq("test") & whole_test
    rows = reject_contradictions(rows, is_kept)
    rows = reject_repetitions(rows, is_kept)
    return make_ids_unique(rows, source)


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
    labels = rows[rows["reason"].isna() & ~is_kept].groupby(["split", "key"])["label"].transform("nunique")
    contradicted = labels.reindex(rows.index, fill_value=0).gt(1) & rows["label"].notna()
    return reject(rows, contradicted, annotation_fields.CONFLICT)


def reject_repetitions(rows: pd.DataFrame, is_kept: "pd.Series[bool]") -> pd.DataFrame:
    """The rows with a reason for each row whose id another one has.

    The labelled answer stays before any other row, then a labelled row before an unlabelled one; of equals, the first.
    """
    usable = rows[rows["reason"].isna() & ~is_kept]
    order = usable["label"].isna() * 2 + usable["answers"].isna().eq(usable["label"].notna())
    repeated = usable.loc[order.sort_values(kind="stable").index, "id"].duplicated()
    repeated = repeated.reindex(rows.index, fill_value=False)
    labelled = rows["id"].isin(usable.loc[usable["label"].notna(), "id"])
    rows = reject(rows, repeated & labelled & rows["label"].isna(), rejection_reasons.LABELLED_ELSEWHERE)
    return reject(rows, repeated, rejection_reasons.REPEATED)


def make_ids_unique(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows, with a new id for each usable row whose id an earlier one has: it counts the occurrence in."""
    usable = rows[rows["reason"].isna()]
    occurrence = usable.groupby("id").cumcount()
    later = occurrence[occurrence > 0]
    ids = [row_id(f"{source}\0{n}", text) for n, text in zip(later, rows.loc[later.index, "text"], strict=True)]
    return rows.assign(id=rows["id"].mask(rows.index.isin(later.index), pd.Series(ids, later.index, dtype="str")))


def source_ids(rows: pd.DataFrame) -> "pd.Series[str]":
    """For each of the usable ``rows``, the id of the first row of its group; gold rows come first."""
    ordered = rows.sort_values("origin", key=lambda origin: origin.ne("gold"), kind="stable")
    return ordered.groupby("group")["id"].transform("first").reindex(rows.index)
