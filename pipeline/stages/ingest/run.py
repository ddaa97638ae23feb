"""The ingest stage from end to end: read, map, clean, join duplicates, split, write."""

import pandas as pd

from pipeline.core import annotation_fields, table
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest, Split
from pipeline.core.stage import Metrics, Paths, replace, write_json
from pipeline.sources import arrived, columns, files, hub, sql
from pipeline.sources.clean import clean
from pipeline.sources.names import source_name
from pipeline.sources.source import SPLITS, Source
from pipeline.stages.ingest import duplicates, labels, returned, split

READERS = {"files": files.read, "sql": sql.read, "huggingface": hub.read}


def run(params: Ingest, paths: Paths) -> Metrics:
    """Write the tables of every split, the rejected rows and labels.json; return counts, equal from run to run.

    Raises UserError for whatever the user has to mend: params, files, columns, or data that cannot train a classifier.
    """
    sources = READERS[params.source](params, paths.root)
    if not sources:
        raise UserError("ingest.train: expected at least one query or split name, found an empty list; add one")
    name = source_name(params)
    rows = returned.restore(clean(everything(sources, params, paths), params), name)
    rows = labels.apply(rows, params.labels)
    check_sources(rows, sources)
    rows = arrived.yield_to_source(returned.inherit_groups(identify(rows, name)))
    returned.announce(rows)
    shares = split.absent(rows[~rows["arrived"]], params)
    rows = drawn(rows, shares, params)
    whole_test = not (shares.test and shares.stratify)
    rows = duplicates.separate(rows, name, whole_test)
    listing = labels.listing(rows, params.labels)
    if params.labels_per_class is not None:
        rows = split.keep_gold(rows, params.labels_per_class, params.seed)
    tables = partition(rows, params)
    check_tables(tables, params)
    out = paths.data("ingest")
    for part, content in tables.items():
        table.write(content, out / f"{part}.parquet")
    rejected = rejects(rows)
    replace(out / "rejected.parquet", lambda part: rejected.to_parquet(part, index=False))
    write_json(listing, out / "labels.json")
    return measure(rows, tables, listing["labels"])


def everything(sources: list[Source], params: Ingest, paths: Paths) -> pd.DataFrame:
    """The rows of the sources, then those that arrived later, told apart by the column ``arrived``."""
    mapped, later = columns.map_columns(sources, params), arrived.read(params, paths.root)
    rows = pd.concat([mapped, later], ignore_index=True) if len(later) else mapped
    return rows.assign(arrived=[i >= len(mapped) for i in range(len(rows))])


def check_sources(rows: pd.DataFrame, sources: list[Source]) -> None:
    """Raise UserError for a source with no usable row; an unlabelled one may be empty, and answers all undecided."""
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


def identify(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows with their id and the key that duplicates share."""
    return rows.assign(
        id=[table.row_id(source, text or raw) for text, raw in zip(rows["text"], rows["raw"], strict=True)],
        key=[duplicates.key(text) for text in rows["text"]],
    )


def drawn(rows: pd.DataFrame, shares: Split, params: Ingest) -> pd.DataFrame:
    """The rows with their splits and groups; the splits are drawn as if nothing had arrived.

    A test split that moved with each arrival would measure something else each night. What arrived may also join two
    groups of duplicates, so the groups are made anew afterwards.
    """
    first, later = rows[~rows["arrived"]], rows[rows["arrived"]]
    first = split.draw(group(first, params), shares, params.seed)
    return first if later.empty else group(pd.concat([first, later]), params)


def group(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with, where they are usable, the group of duplicates they belong to."""
    rows = rows.assign(group=-1)
    usable = rows["reason"].isna()
    rows.loc[usable, "group"] = duplicates.join(rows.loc[usable, "key"].tolist(), params.duplicates)
    return rows


def partition(rows: pd.DataFrame, params: Ingest) -> dict[str, pd.DataFrame]:
    """The usable rows as one table of the schema per split; training rows without a label go to the pool."""
    rows = rows[rows["reason"].isna()].copy()
    rows.loc[rows["split"].eq("train") & rows["label"].isna(), "split"] = "unlabelled"
    rows["origin"] = rows["split"].eq("unlabelled").map({True: "unlabelled", False: "gold"})
    rows["source_id"] = duplicates.source_ids(rows)
    rows["weight"], rows["confidence"] = 1.0, None
    parts = {name: rows[rows["split"].eq(name)] for name in SPLITS}
    if params.unlabelled_limit is not None:
        parts["unlabelled"] = split.limit_pool(parts["unlabelled"], params.unlabelled_limit, params.seed)
    return {name: table.cast(part) for name, part in parts.items()}


def rejects(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that cannot be used, with their text as it was read, in the order of the source."""
    names = {"file": "file", "row": "row", "id": "id", "reason": "reason", "raw": "text"}
    return rows.loc[rows["reason"].notna(), list(names)].rename(columns=names).sort_index()


def check_tables(tables: dict[str, pd.DataFrame], params: Ingest) -> None:
    """Raise UserError for data that nothing can be learned from or measured on."""
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


def measure(rows: pd.DataFrame, tables: dict[str, pd.DataFrame], names: list[str]) -> Metrics:
    """Counts only: no times, so that an equal input gives equal metrics."""
    gold = tables["train"]["label"].value_counts().reindex(names, fill_value=0)
    everything = pd.concat(tables.values())
    shared = everything["source_id"].value_counts()
    reasons = rows["reason"].value_counts()
    usable = int(rows["reason"].isna().sum())
    return {
        "rows": {"read": len(rows)} | {name: len(part) for name, part in tables.items()},
        "classes": len(names),
        "gold_per_class": {"min": int(gold.min()), "max": int(gold.max())},
        "answers": int((rows["answers"].notna() & rows["label"].notna() & rows["reason"].isna()).sum()),
        "arrived": int((rows["arrived"] & rows["reason"].isna()).sum()),
        "rejected": {reason: int(reasons[reason]) for reason in sorted(reasons.index)},
        "unlabelled_left_out": usable - len(everything),
        "near_duplicate_groups": int((shared > 1).sum()),
        "groups_missing": {
            name.removeprefix(table.GROUP): int(everything[name].isna().sum())
            for name in table.group_columns(everything)
        },
    }
