"""The data sets of the benchmarks, and the few labels that the protocol draws.

Rows of the training file are numbered from 0, shuffled with the seed, and the first k of each class keep their label;
the rest of the file is the pool. No method sees a label of the pool or of the test file.
"""

import csv
import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.sources.cleaning import clean_text

ROOT = Path(__file__).parent.parent
TRAIN_SHARE = 0.8  # of the rows of a data set that was published as one file

# Published files; a data set without a "test" file is split. The columns are those of examples/<name>.yaml.
FILES: dict[str, dict[str, str]] = {
    "banking77": {"train": "train.csv", "test": "test.csv"},
    "ag_news": {"train": "pool.csv", "test": "test.csv"},
    "hatexplain": {"train": "posts.csv"},
    "clothing_reviews": {"train": "reviews.csv"},
    "phrasebank": {"train": "train.csv", "test": "test.csv"},
    "emotion": {"train": "train.csv", "test": "test.csv"},
    "eprstmt": {"train": "train_few_all.json", "pool": "unlabeled.json", "test": "test_public.json"},
}


@dataclass(frozen=True)
class Rows:
    """Texts with their true labels, in the order of the file. A row without a text is neither drawn nor scored."""

    texts: list[str]
    labels: list[str]


@dataclass(frozen=True)
class Task:
    """One data set: the training file, further raw text, the test file, and the overlay of its example."""

    name: str
    train: Rows
    pool: list[str]
    test: Rows
    overlay: dict[str, Any]


def data_folder() -> Path:
    """The folder of the data sets."""
    return Path(os.environ.get("GLEANER_DATA", ROOT.parent / "shared" / "data"))


def load_task(name: str, data: Path | None = None) -> Task:
    """Read a data set. Raises UserError if its files are missing."""
    overlay = read_yaml(ROOT / "examples" / f"{name}.yaml")
    folder, files = (data or data_folder()) / name, FILES[name]
    missing = [file for file in files.values() if not (folder / file).exists()]
    if missing:
        raise UserError(
            f"{folder}: expected {', '.join(missing)}, found no such file; set GLEANER_DATA to the folder that holds "
            f"{name}/ (examples/{name}.yaml says where it comes from)"
        )
    rows = read_file(folder / files["train"], overlay)
    if "test" in files:
        train, test = rows, read_file(folder / files["test"], overlay)
    else:
        order = list(range(len(rows.texts)))
        random.Random(0).shuffle(order)
        cut = int(len(order) * TRAIN_SHARE)
        train, test = take_rows(rows, order[:cut]), take_rows(rows, order[cut:])
    pool = read_file(folder / files["pool"], overlay).texts if "pool" in files else []
    # A row without a text can have no prediction, so no method is scored on it.
    test = take_rows(test, [i for i, text in enumerate(test.texts) if text])
    return Task(name, train, [text for text in pool if text], test, overlay)


def read_file(path: Path, overlay: dict[str, Any]) -> Rows:
    """The texts of a file, joined and cleaned as ingest does, and its labels, renamed as the example says."""
    ingest = overlay["ingest"]
    columns, rename, join = ingest["columns"], ingest["labels"]["rename"], ingest.get("join", "\n")
    if path.suffix == ".json":  # JSON Lines
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        with path.open(encoding="utf-8", newline="") as file:
            records = list(csv.DictReader(file))
    texts = [
        clean_text(join.join(part for name in columns["text"] if (part := row[name] or "").strip())) for row in records
    ]
    labels = [str(row.get(columns["label"]) or "") for row in records]
    return Rows(texts, [rename.get(label, label) for label in labels])


def take_rows(rows: Rows, indices: list[int]) -> Rows:
    """The rows with these indices, in this order."""
    return Rows([rows.texts[i] for i in indices], [rows.labels[i] for i in indices])


def draw_labelled(rows: Rows, k: int, seed: int) -> list[int]:
    """Indices of the rows that keep their label: the first k of each class in the order shuffled with the seed."""
    order = list(range(len(rows.texts)))
    random.Random(seed).shuffle(order)
    seen: Counter[str] = Counter()
    gold = []
    for index in order:
        label = rows.labels[index]
        if rows.texts[index] and label and seen[label] < k:
            seen[label] += 1
            gold.append(index)
    return gold
