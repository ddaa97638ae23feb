"""The seeds: rows whose label is known, namely gold rows, augmented rows and the names of the classes."""

from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.params import PseudoLabel
from pipeline.core.stage import Paths, read_json


def gather_seeds(paths: Paths, params: PseudoLabel) -> tuple[pd.DataFrame, list[str]]:
    """The seeds in the row schema with their class number as ``target``, and the labels in their order.

    A gold row has the weight ``gold_weight``, an augmented row ``gold_weight`` times the weight that it came with, and
    a class name ``class_name_weight``.
    """
    about = read_json(paths.data("ingest") / "labels.json")
    labels: list[str] = about["labels"]
    parts = [
        table.read(paths.data(stage) / "train.parquet") for stage in ("ingest", "synonyms", "back_translate", "swaps")
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows["weight"] *= params.gold_weight
    if params.class_names:
        rows = pd.concat([rows, class_name_rows(labels, about["descriptions"], params.class_name_weight)])
    rows = table.to_schema(table.check(rows, Path("data/pseudo_label")))
    return rows.assign(target=rows["label"].map(labels.index).astype(int)), labels


def gather_pool(paths: Paths) -> pd.DataFrame:
    """The rows to label: the pool, and its swapped copies where there are any."""
    parts = [table.read(paths.data(stage) / "unlabelled.parquet") for stage in ("ingest", "swaps")]
    return table.to_schema(pd.concat(parts, ignore_index=True)) if len(parts[1]) else parts[0]


def class_name_rows(labels: list[str], descriptions: dict[str, str], weight: float) -> pd.DataFrame:
    """One row for each class, with this weight: the description of the class, or its name as words."""
    texts = [descriptions.get(label) or label_as_words(label) for label in labels]
    ids = [table.row_id(f"class name {label}", text) for label, text in zip(labels, texts, strict=True)]
    return table.make(id=ids, source_id=ids, text=texts, label=list(labels), origin="class_name", weight=weight)


def label_as_words(label: str) -> str:
    """A label with spaces for underscores and hyphens: ``card_arrival`` becomes ``card arrival``."""
    words = table.normalise(label.replace("_", " ").replace("-", " "))
    return words or label
