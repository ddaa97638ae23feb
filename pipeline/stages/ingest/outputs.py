"""The outputs of the stage, written part by part: the table of each split, the rejected rows, labels.json, counts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.core.stage import Metrics, Paths, write_atomically, write_json
from pipeline.sources.pii_masking import MASKS
from pipeline.sources.source import SPLITS
from pipeline.stages.ingest import splits
from pipeline.stages.ingest.duplicate_rejection import source_ids
from pipeline.stages.ingest.prepare import id_texts
from pipeline.stages.ingest.prepared_rows import PreparedRows

PART_ROWS = 2**17  # that are in memory as texts at a time


def split_tables(rows: pd.DataFrame, params: Ingest) -> dict[str, pd.DataFrame]:
    """The usable rows, without their texts, for each split; unlabelled training rows go to the unlabelled pool.

    The index is the position of the texts.
    """
    rows = rows.loc[rows["reason"].isna(), ["id", "label", "split", "group", *table.group_columns(rows)]]
    rows.loc[rows["split"].eq("train") & rows["label"].isna(), "split"] = "unlabelled"
    rows = rows.assign(source_id=source_ids(rows)).drop(columns="group")
    tables = {name: rows[rows["split"].eq(name)].drop(columns="split") for name in SPLITS}
    if params.unlabelled_limit is not None:
        tables["unlabelled"] = splits.limit_pool(tables["unlabelled"], params.unlabelled_limit, params.seed)
    return tables


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
    tables: dict[str, pd.DataFrame],
    rows: pd.DataFrame,
    prepared: PreparedRows,
    label_list: dict[str, Any],
    paths: Paths,
) -> None:
    """Write a table for each split, rejected.parquet and labels.json to data/ingest."""
    folder = paths.data("ingest")
    for split, content in tables.items():
        path = folder / f"{split}.parquet"
        check_ids(content["id"], path)
        write_parts(path, (table.check(part, path) for part in schema_parts(content, split, prepared)))
    rejected = rows.loc[rows["reason"].notna(), ["file", "row", "id", "reason"]].sort_index()
    write_parts(folder / "rejected.parquet", rejected_parts(rejected, prepared))
    write_json(label_list, folder / "labels.json")


def count_masked(tables: dict[str, pd.DataFrame], prepared: PreparedRows, params: Ingest) -> dict[str, int]:
    """How many written rows hold each mask, such as EMAIL; those that stood in the source already count, too."""
    names = list(dict.fromkeys([*MASKS, *params.presidio.entities]))
    counts = dict.fromkeys(names, 0)
    for content in tables.values():
        for part in parts_of(content):
            texts = prepared.texts.take(part.index.to_numpy())
            for name in names:
                counts[name] += sum(f"[{name}]" in text for text in texts)
    return counts


def check_ids(ids: "pd.Series[int]", path: Path) -> None:
    """Raises UserError if two rows have one id."""
    if not ids.is_unique:
        repeated = ids[ids.duplicated()].to_numpy()
        raise UserError(
            f"{path}: {len(repeated)} rows with an impossible id, first id {id_texts(repeated[:1])[0]}; rerun the "
            "stage that writes it"
        )


def schema_parts(rows: pd.DataFrame, split: str, prepared: PreparedRows) -> Iterator[pd.DataFrame]:
    """The rows of a split with the columns of the schema, part by part; at least one part."""
    origin = "unlabelled" if split == "unlabelled" else "gold"
    for part in parts_of(rows):
        yield table.to_schema(
            part.assign(
                id=id_texts(part["id"].to_numpy()),
                source_id=id_texts(part["source_id"].to_numpy()),
                text=prepared.texts.take(part.index.to_numpy()),
                origin=origin,
                weight=1.0,
                confidence=None,
            )
        )


def rejected_parts(rejected: pd.DataFrame, prepared: PreparedRows) -> Iterator[pd.DataFrame]:
    """The rows that cannot be used: file, row, id, reason, and the text as it was read, in the order of the source."""
    for part in parts_of(rejected):
        texts = pd.Series(prepared.raw_texts(part.index.to_numpy()), part.index, dtype="str")
        ids = pd.Series(id_texts(part["id"].to_numpy()), part.index, dtype="str")
        yield part.assign(file=part["file"].astype("str"), id=ids, text=texts)


def parts_of(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows in parts of some thousands; one empty part if there are none."""
    for start in range(0, max(1, len(rows)), PART_ROWS):
        yield rows.iloc[start : start + PART_ROWS]


def write_parts(path: Path, parts: Iterator[pd.DataFrame]) -> None:
    """Write a Parquet file of some tables with the same columns, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(unfinished: Path) -> None:
        content = pa.Table.from_pandas(next(parts), preserve_index=False)
        with pq.ParquetWriter(unfinished, content.schema) as writer:
            writer.write_table(content)
            for part in parts:
                writer.write_table(pa.Table.from_pandas(part, content.schema, preserve_index=False))

    write_atomically(path, write)


def count_rows(rows: pd.DataFrame, tables: dict[str, pd.DataFrame], names: list[str]) -> Metrics:
    """The metrics of the stage: counts only and no times, so that an equal input gives equal metrics.

    ``names`` are all labels.
    """
    gold = tables["train"]["label"].value_counts().reindex(names, fill_value=0)
    written = sum(map(len, tables.values()))
    sources = np.concatenate([part["source_id"].to_numpy() for part in tables.values()])
    group_sizes = np.unique(sources, return_counts=True)[1]
    reasons = rows["reason"].value_counts()
    usable = rows["reason"].isna()
    return {
        "rows": {"read": len(rows)} | {name: len(part) for name, part in tables.items()},
        "classes": len(names),
        "gold_per_class": {"min": int(gold.min()), "max": int(gold.max())},
        "answers": int((rows["answers"].notna() & rows["label"].notna() & usable).sum()),
        "arrived": int((rows["arrived"] & usable).sum()),
        "rejected": {reason: int(reasons[reason]) for reason in sorted(reasons.index)},
        "unlabelled_left_out": int(usable.sum()) - written,
        "near_duplicate_groups": int((group_sizes > 1).sum()),
        "groups_missing": {
            name.removeprefix(table.GROUP_PREFIX): int(sum(part[name].isna().sum() for part in tables.values()))
            for name in table.group_columns(rows)
        },
    }
