"""The test rows that two models are compared on, and the label that each model gives to them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.digests import file_sha256
from pipeline.core.stage import read_json, write_json
from pipeline.models import classifier


def digest_rows(rows: pd.DataFrame) -> str:
    """SHA-256 of ids and labels, in the order of the ids."""
    pairs = sorted(zip(rows["id"], rows["label"], strict=True))
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()


def find_known_rows(rows: pd.DataFrame, known: Sequence[pd.DataFrame]) -> pd.Series:
    """Whether each of ``rows`` is among the tables ``known`` that a model was trained on: by id, source id or text.

    The text counts because the ids change when the source is renamed.
    """
    ids = {row_id for part in known for column in ("id", "source_id") for row_id in part[column]}
    texts = {table.normalise(text) for part in known for text in part["text"]}
    same_text = rows["text"].map(table.normalise).isin(texts)
    return rows["id"].isin(ids) | rows["source_id"].isin(ids) | same_text


def predict_labels(bundle: Path, rows: pd.DataFrame, batch_size: int, cache: Path) -> tuple[tuple[str, ...], list[str]]:
    """The labels that a bundle knows, and the label that it gives to each row.

    ``cache`` is a folder where the answers are kept by bundle and rows, so that no rows are predicted twice.
    """
    digest = hashlib.sha256(json.dumps(sorted(zip(rows["id"], rows["text"], strict=True))).encode()).hexdigest()
    file = cache / f"{file_sha256(bundle / classifier.MANIFEST)[:16]}-{digest[:16]}.json"
    if not file.exists():
        model = classifier.load(bundle)
        predicted = model.predict(rows["text"].tolist(), batch_size).argmax(axis=1)
        answers = {row_id: model.labels[index] for row_id, index in zip(rows["id"], predicted, strict=True)}
        write_json({"labels": model.labels, "answers": answers}, file)
    cached = read_json(file)
    return tuple(cached["labels"]), [cached["answers"][row_id] for row_id in rows["id"]]
