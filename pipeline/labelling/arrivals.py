"""New rows, judged one by one before they are taken in: which are new, which are known, which are set aside and why.

Two kinds come in: texts, with or without a label, and corrections of a model's answers. Both are mapped and cleaned as
the stage `ingest` does it, so that a text has the id that it will have there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Columns, Feedback, FeedbackColumns, Ingest
from pipeline.core.stage import Paths, read_json
from pipeline.sources import arrived, columns, files, hub, sql
from pipeline.sources.clean import clean, reject
from pipeline.sources.names import source_name
from pipeline.sources.source import Source

UNKNOWN_LABEL = "unknown label"
UNKNOWN_VERSION = "unknown model version"
NO_LABEL = "no label"
CONTRADICTED = "conflicting labels for one text"
GOLD_DIFFERS = "another label than the gold row has"
HELD_OUT = "a row of the test or validation split"
DROPPED = "dropped label"


@dataclass(frozen=True)
class Known:
    """What the project has already: the rows by id, with split and label, and the names of the labels."""

    rows: pd.DataFrame  # id, split, label; one row an id
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Intake:
    """The rows of one inbox: ``new`` are to be kept, ``aside`` have a ``reason``; the others were known."""

    new: pd.DataFrame
    aside: pd.DataFrame
    known: int


def known(params: Ingest, paths: Paths) -> Known:
    """Rows of the last ingest and of all arrivals, which it may not have read yet.

    Raises UserError where nothing was ingested yet.
    """
    folder = paths.data("ingest")
    labels = read_json(folder / "labels.json")["labels"]
    tables = [
        table.read(folder / f"{split}.parquet")[["id", "label"]].assign(split=split)
        for split in ("test", "validation", "train", "unlabelled")
    ]
    later = identified(arrived.read(params, paths.root), params)
    tables.append(later.loc[later["reason"].isna(), ["id", "label", "split"]])
    rejected = pd.read_parquet(folder / "rejected.parquet")[["id"]]
    rows = pd.concat([*tables, rejected.assign(label=None, split="rejected")], ignore_index=True)
    order = rows["split"].map({"test": 0, "validation": 0}).fillna(1) * 2 + rows["label"].isna()
    first = rows.loc[order.sort_values(kind="stable").index].drop_duplicates("id")
    return Known(first.reset_index(drop=True), tuple(labels))


def identified(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """Mapped rows with their id, cleaned, and their label renamed, as ingest will have them."""
    rows = clean(rows, params)
    name, rename = source_name(params), params.labels.rename
    ids = [table.row_id(name, text or raw) for text, raw in zip(rows["text"], rows["raw"], strict=True)]
    return rows.assign(id=ids, given=rows["label"], label=rows["label"].map(lambda one: rename.get(one, one), "ignore"))


def texts(path: Path, params: Ingest) -> pd.DataFrame:
    """The rows of one file of new texts; one without the label column is unlabelled.

    Raises UserError for a file that cannot be read or lacks a column.
    """
    return mapped([unlabelled_without_column(files.read_file(path, path.name, "train", params), params)], params)


def source_rows(params: Ingest, root: Path) -> pd.DataFrame:
    """What the database or the dataset gives now, by ingest's own queries; only training rows and the pool."""
    read: Callable[[Ingest, Path], list[Source]] = {"sql": sql.read, "huggingface": hub.read}[params.source]
    asked = params.model_copy(update={"validation": [], "test": []})
    return mapped(read(asked, root), params)


def unlabelled_without_column(source: Source, params: Ingest) -> Source:
    """A source of training rows that has no column for the label holds rows for the pool."""
    bare = bool(source.columns) and params.columns.label not in source.columns
    return replace(source, split="unlabelled") if bare else source


def mapped(sources: list[Source], params: Ingest) -> pd.DataFrame:
    """The rows of some sources with their ids; no version is known of them."""
    rows = identified(columns.map_columns(sources, params), params)
    return rows.assign(split=rows["split"].where(rows["split"].ne("unlabelled"), "train"), version=None)


def corrections(source: Source, params: Ingest, names: FeedbackColumns) -> pd.DataFrame:
    """The rows of one file or table of corrections, each an answer to the row of its text.

    Raises UserError for a missing column.
    """
    plain = as_read(params, names)
    rows = identified(columns.map_columns([source], plain), params)
    versions = rows[table.GROUP + "version"]
    rows = rows.drop(columns=table.group_columns(rows)).assign(version=versions, answers=rows["id"])
    rows = rows.assign(**{table.GROUP + attr: None for attr in params.columns.groups})
    return reject(rows, rows["label"].isna(), NO_LABEL)


def corrections_of(path: Path, params: Ingest, names: FeedbackColumns) -> pd.DataFrame:
    """The rows of one file of corrections."""
    with own_keys():
        return corrections(files.read_file(path, path.name, "train", as_read(params, names)), params, names)


def corrections_table(params: Ingest, feedback: Feedback, root: Path) -> pd.DataFrame:
    """The rows of a table of corrections in a database."""
    asked = as_read(params, feedback.columns).model_copy(
        update={"url": feedback.url, "train": [feedback.query], "validation": [], "test": [], "unlabelled": []}
    )
    with own_keys():
        return corrections(sql.read(asked, root)[0], params, feedback.columns)


@contextmanager
def own_keys() -> Iterator[None]:
    """A fault of the corrections is told by the keys of their own section, though ingest's readers found it."""
    keys = {"ingest.train[0]": "feedback.query", "ingest.url": "feedback.url", "ingest.columns": "feedback.columns"}
    try:
        yield
    except UserError as error:
        told = str(error)
        for ingest, own in keys.items():
            told = told.replace(ingest, own)
        raise UserError(told) from None


def as_read(params: Ingest, names: FeedbackColumns) -> Ingest:
    """Params under which a table of corrections is mapped: its version travels as a group attribute."""
    own = Columns(text=[names.text], label=names.label, split=None, groups={"version": names.version})
    return params.model_copy(update={"columns": own, "group_bins": {}})


def judge(rows: pd.DataFrame, there: Known, params: Ingest) -> Intake:
    """Sort the rows of one inbox into new, known and set aside.

    A text is new if its id is, or if its label is: a labelled row of the pool. Gold rows stay as they are: who wants
    to change one changes its file. Rows keep their order; of equal ones the first is taken.
    """
    found = there.rows.set_index("id")
    rows = rows.assign(
        held=rows["id"].map(found["split"]).isin(["test", "validation"]), gold=rows["id"].map(found["label"])
    )
    labelled = rows["label"].notna()
    rows = reject(rows, rows["given"].isin(params.labels.drop) | rows["label"].isin(params.labels.drop), DROPPED)
    rows = reject(rows, labelled & ~rows["label"].isin(there.labels), UNKNOWN_LABEL)
    usable = rows[rows["reason"].isna() & labelled]
    several = usable.groupby("id")["label"].transform("nunique").reindex(rows.index, fill_value=0).gt(1)
    rows = reject(rows, several, CONTRADICTED)
    rows = reject(rows, labelled & ~rows["held"] & rows["gold"].notna() & rows["gold"].ne(rows["label"]), GOLD_DIFFERS)
    rows = reject(rows, rows["split"].isin(["test", "validation"]) & ~labelled, NO_LABEL)
    rows = reject(rows, rows["held"] & labelled & rows["gold"].ne(rows["label"]), HELD_OUT)
    usable = rows[rows["reason"].isna()]
    fresh = ~usable["id"].isin(found.index) | (usable["label"].notna() & usable["gold"].isna())
    kept = usable[fresh].sort_values("label", key=lambda label: label.isna(), kind="stable").drop_duplicates("id")
    return Intake(kept.sort_index(), rows[rows["reason"].notna()], len(usable) - len(kept))


def check_versions(rows: pd.DataFrame, versions: set[str]) -> pd.DataFrame:
    """Corrections with a reason where the version that they are about was never registered."""
    return reject(rows, ~rows["version"].isin(versions), UNKNOWN_VERSION)


def to_write(rows: pd.DataFrame) -> pd.DataFrame:
    """New rows with the columns of a file of arrivals."""
    return rows.assign(text=rows["raw"], label=rows["given"])


def set_aside(rows: pd.DataFrame) -> pd.DataFrame:
    """What a person is shown of rows that were set aside."""
    shown = rows.assign(label=rows["given"], text=rows["raw"])
    return shown[["file", "row", "id", "reason", "label", "version", "text"]]


def latest(params: Ingest, root: Path) -> str:
    """The name of the newest file of arrivals, by which a training tells how far it has read; empty for none."""
    names = [path.name for path in arrived.files(root / params.arrivals)]
    return names[-1] if names else ""


def since(name: str, params: Ingest, root: Path) -> pd.DataFrame:
    """The usable rows that arrived after a file, as ingest will have them; all of them after an empty name."""
    rows = identified(arrived.read(params, root), params)
    return rows[rows["file"].gt(name) & rows["reason"].isna()]


def check_folder(path: str, key: str, root: Path) -> Path:
    """An inbox; UserError where there is none, which may be a mount that is missing."""
    if not (root / path).exists():
        raise UserError(f"{key}: expected a file or folder, found no {path}; make it, or set {key} to null")
    return root / path
