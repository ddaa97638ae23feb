"""Reads what comes in: new texts, with or without a label, and corrections of a model's answers.

Both are mapped and cleaned as the stage `ingest` does it, so that a text has the same id here and there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Columns, Feedback, FeedbackColumns, Ingest
from pipeline.labelling.arrivals import identify_rows
from pipeline.labelling.intake import NO_LABEL
from pipeline.sources import columns, files, hub, sql
from pipeline.sources.cleaning import reject
from pipeline.sources.source import Source


def check_inbox(path: str, key: str, root: Path) -> Path:
    """The path of an inbox. Raises UserError, with the ``key`` of params that names it, if there is none.

    A missing inbox may be a network folder that is not mounted.
    """
    inbox = root / path
    if not files.exists(inbox):
        raise UserError(f"{key}: expected a file or folder, found no {path}; make it, or set {key} to null")
    if not (inbox.is_dir() or inbox.is_file()):
        raise UserError(f"{key}: expected a file or folder, found something else, such as a named pipe; correct {key}")
    return inbox


def read_texts(path: Path, params: Ingest) -> pd.DataFrame:
    """The rows of one file of new texts; without a column for the label, they have none.

    Raises UserError for a file that cannot be read or lacks a column.
    """
    source = files.read_file(path, path.name, "train", params)
    return map_rows([to_pool_if_unlabelled(source, params)], params)


def query_texts(params: Ingest, root: Path) -> pd.DataFrame:
    """The rows that the database or dataset has now, by ingest's queries for the training rows and the pool."""
    read: Callable[[Ingest, Path], list[Source]] = {"sql": sql.read, "huggingface": hub.read}[params.source]
    return map_rows(read(params.model_copy(update={"validation": [], "test": []}), root), params)


def to_pool_if_unlabelled(source: Source, params: Ingest) -> Source:
    """The source with its rows in the pool if it has no column for the label; else as it is."""
    is_unlabelled = bool(source.columns) and params.columns.label not in source.columns
    return replace(source, split="unlabelled") if is_unlabelled else source


def map_rows(sources: list[Source], params: Ingest) -> pd.DataFrame:
    """The rows of some sources with their ids, and with no model version."""
    rows = identify_rows(columns.map_columns(sources, params), params)
    return rows.assign(split=rows["split"].where(rows["split"].ne("unlabelled"), "train"), version=None)


def read_corrections(path: Path, params: Ingest, names: FeedbackColumns) -> pd.DataFrame:
    """The rows of one file of corrections. Raises UserError for a file that cannot be read or lacks a column."""
    with with_feedback_keys():
        source = files.read_file(path, path.name, "train", corrections_params(params, names))
        return map_corrections(source, params, names)


def query_corrections(params: Ingest, feedback: Feedback, root: Path) -> pd.DataFrame:
    """The rows of a table of corrections in a database. Raises UserError if the query fails or lacks a column."""
    query_params = corrections_params(params, feedback.columns).model_copy(
        update={"url": feedback.url, "train": [feedback.query], "validation": [], "test": [], "unlabelled": []}
    )
    with with_feedback_keys():
        return map_corrections(sql.read(query_params, root)[0], params, feedback.columns)


def map_corrections(source: Source, params: Ingest, names: FeedbackColumns) -> pd.DataFrame:
    """The rows of one file or table of corrections, each an answer to the row of its text.

    ``version`` is null where the version that answered is unknown. Raises UserError for a missing column.
    """
    mapping = corrections_params(params, names)
    if source.columns and names.version not in source.columns:
        mapping = mapping.model_copy(update={"columns": mapping.columns.model_copy(update={"groups": {}})})
    rows = identify_rows(columns.map_columns([source], mapping), params)
    versions = rows.get(table.GROUP_PREFIX + "version", pd.Series(None, index=rows.index, dtype="str"))
    rows = rows.drop(columns=table.group_columns(rows)).assign(version=versions, answers=rows["id"])
    rows = rows.assign(**{table.GROUP_PREFIX + attribute: None for attribute in params.columns.groups})
    return reject(rows, rows["label"].isna(), NO_LABEL)


def corrections_params(params: Ingest, names: FeedbackColumns) -> Ingest:
    """Params by which ingest's readers read corrections. The model version travels as a group attribute."""
    of_corrections = Columns(text=[names.text], label=names.label, split=None, groups={"version": names.version})
    return params.model_copy(update={"columns": of_corrections, "group_bins": {}})


@contextmanager
def with_feedback_keys() -> Iterator[None]:
    """Raises a UserError of ingest's readers again, with the keys of the section feedback in its message."""
    keys = {"ingest.train[0]": "feedback.query", "ingest.url": "feedback.url", "ingest.columns": "feedback.columns"}
    try:
        yield
    except UserError as error:
        message = str(error)
        for ingest_key, feedback_key in keys.items():
            message = message.replace(ingest_key, feedback_key)
        raise UserError(message) from None
