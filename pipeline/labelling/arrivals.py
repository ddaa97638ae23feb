"""Rows of the arrival files, with the ids and labels that the stage `ingest` gives them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.params import Ingest
from pipeline.sources import arrival_files
from pipeline.sources.cleaning import clean_rows
from pipeline.sources.source_name import source_name
from pipeline.sources.value_rules import join_spellings, label_value_rules, rename_values


def identify_rows(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """Mapped rows cleaned, with their id and their label renamed, as ingest will have them.

    The column ``raw_label`` keeps the label as it was read. A label may still be spelled otherwise than in the source:
    see `spell_as_known`.
    """
    rows = clean_rows(rows, params)
    name = source_name(params)
    ids = [table.row_id(name, text or raw) for text, raw in zip(rows["text"], rows["raw"], strict=True)]
    renamed = rename_values(rows["label"], label_value_rules(params.labels))
    return rows.assign(id=ids, raw_label=rows["label"], label=renamed)


def spell_as_known(rows: pd.DataFrame, labels: Iterable[str], params: Ingest) -> pd.DataFrame:
    """The rows with each label in the spelling that it has among the known ``labels``, where it is certainly the same.

    So has the stage `ingest` them later: "1.0" arrives as "1" where the source has "1".
    """
    return rows.assign(label=join_spellings(rows["label"], label_value_rules(params.labels), first=labels))


def latest_file_name(params: Ingest, root: Path) -> str:
    """The name of the newest arrival file, which records how far a training has read; empty if there is none."""
    names = [path.name for path in arrival_files.list_files(root / params.arrivals)]
    return names[-1] if names else ""


def rows_since(name: str, params: Ingest, root: Path) -> pd.DataFrame:
    """The usable rows of all arrival files after ``name``, as ingest will have them; of all files if it is empty."""
    rows = identify_rows(arrival_files.read_all(params, root), params)
    return rows[rows["file"].gt(name) & rows["reason"].isna()]
