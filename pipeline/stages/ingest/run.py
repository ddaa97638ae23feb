"""The ingest stage from end to end: read, map, clean, find duplicates, split, write."""

from typing import Any

import pandas as pd

from pipeline.core import annotation_fields, table
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest, Split
from pipeline.core.printable import print_note
from pipeline.core.stage import Metrics, Paths, write_atomically, write_json
from pipeline.sources import arrival_files, columns, files, hub, sql
from pipeline.sources.cleaning import clean_rows
from pipeline.sources.source import SPLITS, Source
from pipeline.sources.source_name import source_name
from pipeline.stages.ingest import (
    duplicate_rejection,
    groups,
    joined_spellings,
    label_check,
    labels,
    near_duplicates,
    rejections,
    returned_answers,
    splits,
)

READERS = {"files": files.read, "sql": sql.read, "huggingface": hub.read}


def run(params: Ingest, paths: Paths) -> Metrics:
    """Write the table of every split, the rejected rows and labels.json; return counts, which an equal input repeats.

    Raises UserError for wrong params, unreadable files, missing columns, and data that cannot train or test a
    classifier.
    """
    sources = READERS[params.source](params, paths.root)
    if not sources:
        raise UserError("ingest.train: expected at least one query or split name, found an empty list; add one")
    read = read_rows(sources, params, paths)
    rows = groups.apply_group_rules(labels.apply_label_rules(read, params.labels), params)
    check_sources(rows, sources)
    rejections.check_rejected_share(rows[~rows["arrived"]], params)
    remarks = print_lines(joined_spellings.spelling_lines(read, rows, params))
    remarks += print_lines(label_check.check_values(rows, params))
    rows = identify_rows(rows, params)
    shares = splits.missing_shares(rows[~rows["arrived"]], params)
    rows = split_rows(rows, shares, params)
    whole_test = not (shares.test and shares.stratify)
    rows = duplicate_rejection.reject_duplicates(rows, source_name(params), whole_test)
    label_list = labels.label_list(rows, params.labels)
    if params.labels_per_class is not None:
        rows = splits.keep_labels_per_class(rows, params.labels_per_class, params.seed)
    tables = split_tables(rows, params)
    check_tables(tables, params)
    write_outputs(tables, rows, label_list, paths)
    by_file = print_lines(rejections.rejection_lines(rows))
    return count_rows(rows, tables, label_list["labels"]) | {"rejected_by_file": by_file, "remarks": remarks}


def read_rows(sources: list[Source], params: Ingest, paths: Paths) -> pd.DataFrame:
    """The rows of the sources and the arrivals, mapped and cleaned, labels as they were read."""
    rows = clean_rows(combine_rows(sources, params, paths), params)
    return returned_answers.unescape_answers(rows, source_name(params))


def identify_rows(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with ids, answers with the groups of the row that they are about; known arrivals have a reason."""
    rows = returned_answers.inherit_groups(add_ids(rows, source_name(params)))
    rows = arrival_files.reject_known_arrivals(rows)
    returned_answers.report_answers(rows)
    return rows


def print_lines(lines: list[str]) -> list[str]:
    """The lines, which are printed on stderr."""
    for line in lines:
        print_note(line)
    return lines


def combine_rows(sources: list[Source], params: Ingest, paths: Paths) -> pd.DataFrame:
    """The rows of the sources, then those of the arrival files; the column ``arrived`` is true for the latter."""
    source_rows, arrivals = columns.map_columns(sources, params), arrival_files.read_all(params, paths.root)
    rows = pd.concat([source_rows, arrivals], ignore_index=True) if len(arrivals) else source_rows
    return rows.assign(arrived=[i >= len(source_rows) for i in range(len(rows))])


def check_sources(rows: pd.DataFrame, sources: list[Source]) -> None:
    """Raises UserError if a source has no usable row.

    An unlabelled source may be empty, and a source of answers may hold undecided ones only.
    """
    usable = set(rows.loc[rows["reason"].isna() | rows["reason"].isin(annotation_fields.UNDECIDED), "file"])
    for source in sources:
        if source.name in usable or (source.split == "unlabelled" and not source.records):
            continue
        reasons = rows.loc[rows["file"].eq(source.name), "reason"].value_counts()
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "no rows at all"
        raise UserError(
            f"{source.name}: expected at least one usable row, found {why}; correct the file, or ingest.encoding, "
            "ingest.delimiter and ingest.columns"
        )


def add_ids(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows with the columns ``id`` and ``key``, which exact duplicates share."""
    return rows.assign(
        id=[table.row_id(source, text or raw) for text, raw in zip(rows["text"], rows["raw"], strict=True)],
        key=[near_duplicates.duplicate_key(text) for text in rows["text"]],
    )


def split_rows(rows: pd.DataFrame, shares: Split, params: Ingest) -> pd.DataFrame:
    """The rows with their splits and duplicate groups; the splits are drawn without the arrivals.

    Otherwise each arrival would change the test split, and results of different days would not be comparable. An
    arrival may join two groups of duplicates, so the groups are formed again afterwards.
    """
    source_rows, arrivals = rows[~rows["arrived"]], rows[rows["arrived"]]
    source_rows = splits.draw_splits(add_groups(source_rows, params), shares, params.seed)
    return source_rows if arrivals.empty else add_groups(pd.concat([source_rows, arrivals]), params)


def add_groups(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with the column ``group``: the number of the duplicate group of a usable row, -1 for other rows."""
    rows = rows.assign(group=-1)
    usable = rows["reason"].isna()
    keys = rows.loc[usable, "key"].tolist()
    rows.loc[usable, "group"] = near_duplicates.group_duplicates(keys, params.duplicates)
    return rows


def split_tables(rows: pd.DataFrame, params: Ingest) -> dict[str, pd.DataFrame]:
    """The usable rows as one table of the schema a split; training rows without a label go to the unlabelled pool."""
    rows = rows[rows["reason"].isna()].copy()
    rows.loc[rows["split"].eq("train") & rows["label"].isna(), "split"] = "unlabelled"
    rows["origin"] = rows["split"].eq("unlabelled").map({True: "unlabelled", False: "gold"})
    rows["source_id"] = duplicate_rejection.source_ids(rows)
    rows["weight"], rows["confidence"] = 1.0, None
    parts = {name: rows[rows["split"].eq(name)] for name in SPLITS}
    if params.unlabelled_limit is not None:
        parts["unlabelled"] = splits.limit_pool(parts["unlabelled"], params.unlabelled_limit, params.seed)
    return {name: table.to_schema(part) for name, part in parts.items()}


def check_tables(tables: dict[str, pd.DataFrame], params: Ingest) -> None:
    """Raises UserError if there are no test rows, or labelled training rows of fewer than two classes."""
    if tables["test"].empty:
        raise UserError(
            "ingest.test: expected test rows, found none; name a file, a split column or a share in ingest.split.test"
        )
    classes = tables["train"]["label"].nunique()
    if params.labels_per_class != 0 and classes < 2:
        raise UserError(
            f"ingest.train: expected labelled training rows of at least 2 classes, found {len(tables['train'])} rows "
            f"of {classes}; add labels, correct ingest.columns.label, or set ingest.labels_per_class to 0"
        )


def write_outputs(
    tables: dict[str, pd.DataFrame], rows: pd.DataFrame, label_list: dict[str, Any], paths: Paths
) -> None:
    """Write a table for each split, rejected.parquet and labels.json to data/ingest."""
    folder = paths.data("ingest")
    for split, content in tables.items():
        table.write(content, folder / f"{split}.parquet")
    rejected = rejected_rows(rows)
    write_atomically(folder / "rejected.parquet", lambda part: rejected.to_parquet(part, index=False))
    write_json(label_list, folder / "labels.json")


def rejected_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that cannot be used: file, row, id, reason, and the text as it was read, in the order of the source."""
    names = {"file": "file", "row": "row", "id": "id", "reason": "reason", "raw": "text"}
    return rows.loc[rows["reason"].notna(), list(names)].rename(columns=names).sort_index()


def count_rows(rows: pd.DataFrame, tables: dict[str, pd.DataFrame], names: list[str]) -> Metrics:
    """The metrics of the stage: counts only and no times, so that an equal input gives equal metrics.

    ``names`` are all labels.
    """
    gold = tables["train"]["label"].value_counts().reindex(names, fill_value=0)
    written = pd.concat(tables.values())
    group_sizes = written["source_id"].value_counts()
    reasons = rows["reason"].value_counts()
    usable = rows["reason"].isna()
    return {
        "rows": {"read": len(rows)} | {name: len(part) for name, part in tables.items()},
        "classes": len(names),
        "gold_per_class": {"min": int(gold.min()), "max": int(gold.max())},
        "answers": int((rows["answers"].notna() & rows["label"].notna() & usable).sum()),
        "arrived": int((rows["arrived"] & usable).sum()),
        "rejected": {reason: int(reasons[reason]) for reason in sorted(reasons.index)},
        "unlabelled_left_out": int(usable.sum()) - len(written),
        "near_duplicate_groups": int((group_sizes > 1).sum()),
        "groups_missing": {
            name.removeprefix(table.GROUP_PREFIX): int(written[name].isna().sum())
            for name in table.group_columns(written)
        },
    }
