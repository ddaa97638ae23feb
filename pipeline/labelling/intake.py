"""Divides incoming rows into new rows, known rows, and rows that are set aside with a reason."""

from dataclasses import dataclass

import pandas as pd

from pipeline.core import table
from pipeline.core.params import Ingest
from pipeline.core.stage import Paths, read_json
from pipeline.labelling.arrivals import identify_rows, spell_as_known
from pipeline.sources import arrival_files
from pipeline.sources.cleaning import reject

UNKNOWN_LABEL = "unknown label"
UNKNOWN_VERSION = "unknown model version"
NO_LABEL = "no label"
CONTRADICTED = "conflicting labels for one text"
GOLD_DIFFERS = "another label than the gold row has"
HELD_OUT = "a row of the test or validation split"
DROPPED = "dropped label"
HELD_OUT_SPLITS = ["test", "validation"]


@dataclass(frozen=True)
class KnownRows:
    """What the project has already: the rows by id, with split and label, and the names of the labels."""

    rows: pd.DataFrame  # id, split, label; one row for each id
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Intake:
    """The rows of one inbox, divided. ``set_aside`` has a column ``reason``."""

    new: pd.DataFrame
    set_aside: pd.DataFrame
    known: int  # rows that were known already


def load_known_rows(params: Ingest, paths: Paths) -> KnownRows:
    """The rows of the last ingest, and of all arrival files, some of which it may not have read yet.

    Raises UserError if nothing was ingested yet.
    """
    folder = paths.data("ingest")
    labels = read_json(folder / "labels.json")["labels"]
    tables = [
        table.read_columns(folder / f"{split}.parquet", ["id", "label"]).assign(split=split)
        for split in ("test", "validation", "train", "unlabelled")
    ]
    arrived = spell_as_known(identify_rows(arrival_files.read_all(params, paths.root), params), labels, params)
    tables.append(arrived.loc[arrived["reason"].isna(), ["id", "label", "split"]])
    rejected = pd.read_parquet(folder / "rejected.parquet")[["id"]]
    rows = pd.concat([*tables, rejected.assign(label=None, split="rejected")], ignore_index=True)
    # Of several rows with one id, a held-out one counts, and then one with a label.
    priority = rows["split"].map(dict.fromkeys(HELD_OUT_SPLITS, 0)).fillna(1) * 2 + rows["label"].isna()
    unique = rows.loc[priority.sort_values(kind="stable").index].drop_duplicates("id")
    return KnownRows(unique.reset_index(drop=True), tuple(labels))


def divide_rows(rows: pd.DataFrame, known: KnownRows, params: Ingest) -> Intake:
    """The rows of one inbox, divided into new, known and set aside.

    A row is new if its id is new, or if it is the first label for a row of the pool. A gold row keeps its label; to
    change it, change the file that it came from. Rows keep their order, and of equal rows the first is taken.
    """
    rows = set_aside_faulty(rows, known, params)
    usable = rows[rows["reason"].isna()]
    is_new = ~usable["id"].isin(known.rows["id"]) | (usable["label"].notna() & usable["known_label"].isna())
    labelled_first = usable[is_new].sort_values("label", key=lambda label: label.isna(), kind="stable")
    new = labelled_first.drop_duplicates("id").sort_index()
    return Intake(new, rows[rows["reason"].notna()], len(usable) - len(new))


def set_aside_faulty(rows: pd.DataFrame, known: KnownRows, params: Ingest) -> pd.DataFrame:
    """The rows with a reason where they cannot be taken in, and the ``known_label`` of their id."""
    by_id = known.rows.set_index("id")
    is_held_out = rows["id"].map(by_id["split"]).isin(HELD_OUT_SPLITS)
    known_label = rows["id"].map(by_id["label"])
    rows = rows.assign(known_label=known_label)
    is_labelled = rows["label"].notna()
    is_relabelled = is_labelled & known_label.ne(rows["label"])

    rows = reject(rows, rows["raw_label"].isin(params.labels.drop) | rows["label"].isin(params.labels.drop), DROPPED)
    rows = reject(rows, is_labelled & ~rows["label"].isin(known.labels), UNKNOWN_LABEL)
    rows = reject(rows, is_contradicted(rows), CONTRADICTED)
    rows = reject(rows, is_relabelled & ~is_held_out & known_label.notna(), GOLD_DIFFERS)
    rows = reject(rows, rows["split"].isin(HELD_OUT_SPLITS) & ~is_labelled, NO_LABEL)
    return reject(rows, is_relabelled & is_held_out, HELD_OUT)


def is_contradicted(rows: pd.DataFrame) -> pd.Series:
    """Whether usable rows of the inbox give a row's id several labels, (rows,), bool."""
    usable = rows[rows["reason"].isna() & rows["label"].notna()]
    labels = usable.groupby("id")["label"].transform("nunique")
    return labels.reindex(rows.index, fill_value=0).gt(1)


def reject_unknown_versions(rows: pd.DataFrame, versions: set[str]) -> pd.DataFrame:
    """Corrections, with a reason where they name a model version that was never registered."""
    return reject(rows, rows["version"].notna() & ~rows["version"].isin(versions), UNKNOWN_VERSION)


def to_arrivals(rows: pd.DataFrame) -> pd.DataFrame:
    """New rows with the columns of an arrival file: text and label as they were read."""
    return rows.assign(text=rows["raw"], label=rows["raw_label"])


def to_set_aside_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that people see of rows that were set aside; text and label as they were read."""
    shown = rows.assign(label=rows["raw_label"], text=rows["raw"])
    return shown[["file", "row", "id", "reason", "label", "version", "text"]]
