"""Shared by the tests of ingest: params from params.yaml with changes, and one run in a folder."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core.params import Ingest, load
from pipeline.core.stage import Metrics, Paths
from pipeline.stages.ingest import run

ROOT = Path(__file__).parents[2]
COLUMNS: dict[str, Any] = {"text": ["text"], "label": "label", "split": None, "groups": {}}


def params(**changes: Any) -> Ingest:
    """The section of params.yaml, with one training file, one test file, and these changes."""
    section = load(ROOT / "params.yaml").model_dump()["ingest"]
    plain = {"path": "raw", "train": ["train.csv"], "test": ["test.csv"], "unlabelled": [], "columns": COLUMNS}
    changes["columns"] = COLUMNS | changes.get("columns", {})
    changes["labels"] = section["labels"] | {"descriptions": {}} | changes.get("labels", {})
    return Ingest.model_validate(section | plain | changes)


def write(root: Path, **files: str | bytes) -> None:
    """Files below root/raw; in a name, ``__`` stands for the dot."""
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
    """Reason of each rejected row, by file:row."""
    table = output(root, "rejected")
    return dict(zip(table["file"] + ":" + table["row"].astype(str), table["reason"], strict=True))
