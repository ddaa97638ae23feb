"""Shared by the tests of ingest: raw files, params from params.yaml with changes, and one run in a folder."""

import random
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.params import Ingest, load_params
from pipeline.core.stage import Metrics, Paths
from pipeline.stages.ingest import run

ROOT = Path(__file__).parents[2]
COLUMNS: dict[str, Any] = {"text": ["text"], "label": "label", "split": None, "groups": {}}


def params(**changes: Any) -> Ingest:
    """The section of params.yaml, with one training file, one test file, and these changes."""
    section = load_params(ROOT / "params.yaml").model_dump()["ingest"]
    small = {"path": "raw", "train": ["train.csv"], "test": ["test.csv"], "unlabelled": [], "columns": COLUMNS}
    changes["columns"] = COLUMNS | changes.get("columns", {})
    changes["labels"] = section["labels"] | {"descriptions": {}} | changes.get("labels", {})
    return Ingest.model_validate(section | small | changes)


def write(root: Path, **files: str | bytes) -> None:
    """Write files below root/raw; in a name, ``__`` stands for the dot."""
    folder = root / "raw"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("__", ".")).write_bytes(data)


def ingest(root: Path, **changes: Any) -> Metrics:
    """Run the stage with these changes of params."""
    return run(params(**changes), Paths(root))


def output(root: Path, name: str) -> pd.DataFrame:
    """One table that the stage wrote."""
    return pd.read_parquet(root / "data" / "ingest" / f"{name}.parquet")


def rejected(root: Path) -> dict[str, str]:
    """The reason of each rejected row, by file:row."""
    table = output(root, "rejected")
    return dict(zip(table["file"] + ":" + table["row"].astype(str), table["reason"], strict=True))


def read_splits(root: Path) -> dict[str, pd.DataFrame]:
    """The tables of all splits, by name."""
    return {name: output(root, name) for name in ("train", "validation", "test", "unlabelled")}


def csv_text(rows: list[tuple[str, str]]) -> str:
    """A CSV file of texts with their labels."""
    return "\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]) + "\n"


def random_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Rows of random words, so that no two texts are alike, in three classes of different size."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(500)]
    return [(" ".join(rng.sample(words, 6)), rng.choices("xyz", [6, 3, 1])[0]) for _ in range(count)]
