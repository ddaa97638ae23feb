"""The ingest stage from end to end: read, map, clean, find duplicates, split, write."""

from contextlib import nullcontext

import numpy as np
import pandas as pd

from pipeline.core import annotation_fields
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest, Split
from pipeline.core.printable import print_note
from pipeline.core.stage import Metrics, Paths, waiting
from pipeline.sources import arrival_files, files, hub, sql
from pipeline.sources.pii_masking import check_masks
from pipeline.sources.source import Source
from pipeline.sources.source_name import source_name
from pipeline.stages.ingest import (
    duplicate_rejection,
    groups,
    joined_spellings,
    label_check,
    labels,
    near_duplicates,
    outputs,
    rejections,
    returned_answers,
    splits,
)
from pipeline.stages.ingest.prepared_rows import PreparedRows, prepare_rows

MANY_ROWS = 100_000  # from which the search for near duplicates takes long enough to be told
READERS = {"files": files.read, "sql": sql.read, "huggingface": hub.read}


def run(params: Ingest, paths: Paths) -> Metrics:
    """Write the table of every split, the rejected rows and labels.json; return counts, which an equal input repeats.

    Raises UserError for wrong params, unreadable files, missing columns, and data that cannot train or test a
    classifier.
    """
    if params.mask_pii:
        check_masks(params)
    sources = READERS[params.source](params, paths.root)
    if not sources:
        raise UserError("ingest.train: expected at least one query or split name, found an empty list; add one")
    with prepare_rows(sources, params, paths) as prepared:
        rows, remarks = settle_values(prepared.rows, sources, params)
        rows = identify_rows(rows)
        shares = splits.missing_shares(rows[~rows["arrived"]], params)
        rows = split_rows(rows, prepared, shares, params)
        whole_test = not (shares.test and shares.stratify)
        rows = duplicate_rejection.reject_duplicates(rows, prepared.texts, source_name(params), whole_test)
        label_list = labels.label_list(rows, params.labels)
        if params.labels_per_class is not None:
            rows = splits.keep_labels_per_class(rows, params.labels_per_class, params.seed)
        tables = outputs.split_tables(rows, params)
        outputs.check_tables(tables, params)
        outputs.write_outputs(tables, rows, prepared, label_list, paths)
        masked = outputs.count_masked(tables, prepared, params) if params.mask_pii else {}
    by_file = print_lines(rejections.rejection_lines(rows))
    counts = outputs.count_rows(rows, tables, label_list["labels"])
    if masked:
        print_note("masked: " + ", ".join(f"[{name}] in {count} rows" for name, count in masked.items()))
        counts["masked"] = masked
    return counts | {"rejected_by_file": by_file, "remarks": remarks}


def settle_values(read: pd.DataFrame, sources: list[Source], params: Ingest) -> tuple[pd.DataFrame, list[str]]:
    """The rows with the rules of params for labels and groups applied, and what is remarkable about the values.

    Raises UserError if a source has no usable row, if too many rows are lost, or if too many values are in doubt.
    """
    rows = groups.apply_group_rules(labels.apply_label_rules(read, params.labels), params)
    check_sources(rows, sources)
    rejections.check_rejected_share(rows[~rows["arrived"]], params)
    remarks = print_lines(joined_spellings.spelling_lines(read, rows, params))
    return rows, remarks + print_lines(label_check.check_values(rows, params))


def identify_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, answers with the groups of the row that they are about; known arrivals have a reason."""
    rows = arrival_files.reject_known_arrivals(returned_answers.inherit_groups(rows))
    returned_answers.report_answers(rows)
    return rows


def print_lines(lines: list[str]) -> list[str]:
    """The lines, which are printed on stderr."""
    for line in lines:
        print_note(line)
    return lines


def check_sources(rows: pd.DataFrame, sources: list[Source]) -> None:
    """Raises UserError if a source has no usable row.

    An unlabelled source may be empty, and a source of answers may hold undecided ones only.
    """
    usable = set(rows.loc[rows["reason"].isna() | rows["reason"].isin(annotation_fields.UNDECIDED), "file"].unique())
    read = set(rows["file"].unique())
    for source in sources:
        if source.name in usable or (source.split == "unlabelled" and source.name not in read):
            continue
        reasons = rows.loc[rows["file"].eq(source.name), "reason"].value_counts()
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "no rows at all"
        raise UserError(
            f"{source.name}: expected at least one usable row, found {why}; correct the file, or ingest.encoding, "
            "ingest.delimiter and ingest.columns"
        )


def split_rows(rows: pd.DataFrame, prepared: PreparedRows, shares: Split, params: Ingest) -> pd.DataFrame:
    """The rows with their splits and duplicate groups; the splits are drawn without the arrivals.

    Otherwise each arrival would change the test split, and results of different days would not be comparable. An
    arrival may join two groups of duplicates, so the groups are formed again afterwards.
    """
    has_arrivals = bool(rows["arrived"].any())
    source_rows, arrivals = (rows[~rows["arrived"]], rows[rows["arrived"]]) if has_arrivals else (rows, None)
    source_rows = splits.draw_splits(add_groups(source_rows, prepared, params), shares, params.seed)
    if arrivals is None:
        return source_rows
    return add_groups(pd.concat([source_rows.drop(columns="group"), arrivals]), prepared, params)


def add_groups(rows: pd.DataFrame, prepared: PreparedRows, params: Ingest) -> pd.DataFrame:
    """The rows with the column ``group``: the number of the duplicate group of a usable row, -1 for other rows."""
    is_usable = rows["reason"].isna().to_numpy()
    usable = np.sort(rows.index.to_numpy()[is_usable])
    keys = np.zeros(len(prepared.rows), dtype=np.uint64)
    keys[rows.index] = rows["key"]
    group = np.full(len(keys), -1)
    with waiting("near duplicates") if len(usable) > MANY_ROWS else nullcontext():
        group[usable] = near_duplicates.group_rows(usable, keys, prepared.texts, prepared.sketches, params.duplicates)
    return rows.assign(group=group[rows.index])
