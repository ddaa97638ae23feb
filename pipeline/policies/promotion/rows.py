"""The test rows that two models are compared on, and what each of them answers."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.stage import read_json, write_json
from pipeline.models import classifier


def digest(rows: pd.DataFrame) -> str:
    """SHA-256 of ids and labels, in the order of the ids."""
    pairs = sorted(zip(rows["id"], rows["label"], strict=True))
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()


def seen(rows: pd.DataFrame, known: Sequence[pd.DataFrame]) -> pd.Series:
    """Which rows a model knows already: by id, by source or, after their source was renamed, by the text itself."""
    ids = {one for part in known for name in ("id", "source_id") for one in part[name]}
    texts = {table.normalise(text) for part in known for text in part["text"]}
    same_text = rows["text"].map(table.normalise).isin(texts)
    return rows["id"].isin(ids) | rows["source_id"].isin(ids) | same_text


def answers(bundle: Path, rows: pd.DataFrame, batch_size: int, cache: Path) -> tuple[tuple[str, ...], list[str]]:
    """The labels that a bundle knows, and its answer to each row.

    ``cache`` is a folder where answers are kept by bundle and rows: the same are not asked twice.
    """
    about = hashlib.sha256(json.dumps(sorted(zip(rows["id"], rows["text"], strict=True))).encode()).hexdigest()
    file = cache / f"{classifier.sha256(bundle / classifier.MANIFEST)[:16]}-{about[:16]}.json"
    if not file.exists():
        model = classifier.load(bundle)
        chosen = model.predict(rows["text"].tolist(), batch_size).argmax(axis=1)
        found = {one: model.labels[place] for one, place in zip(rows["id"], chosen, strict=True)}
        write_json({"labels": model.labels, "answers": found}, file)
    kept = read_json(file)
    return tuple(kept["labels"]), [kept["answers"][one] for one in rows["id"]]
