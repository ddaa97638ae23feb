"""A tiny project for ablations: tables after ingest, and params that train for a few steps."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.core.params import to_yaml
from pipeline.core.stage import write_json

ROOT = Path(__file__).parents[2]
QUICK = {
    "back_translate": {"engine": "none"},
    "synonyms": {"variants": 0},
    "pseudo_label": {"rounds": 1, "folds": 2},
    "finetune": {"max_steps": 2, "batch_size": 8},
    "evaluate": {"bootstrap": 100},
}


def make_tables(rows: Callable[..., pd.DataFrame], pairs: list[tuple[str, str]]) -> dict[str, pd.DataFrame]:
    """30 gold rows and a near duplicate of the first, no validation split, and a pool with a copy of each gold row."""
    train = rows(pairs[:30])
    near = rows([(f"{pairs[0][0]} indeed", pairs[0][1])], source_id=[train["id"][0]])
    pool = rows([(text, None) for text, _ in pairs[30:60]], origin="unlabelled")
    copies = rows([(f"{text} copy", None) for text, _ in pairs[:30]], origin="unlabelled", source_id=list(train["id"]))
    train = pd.concat([train, near])
    return {"train": train, "validation": train.iloc[:0], "unlabelled": pd.concat([pool, copies])}


def write_project(root: Path, content: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Path:
    """Write a project after ingest, whose test table cannot be read; returns its root."""
    (root / "params.yaml").write_text(to_yaml(content))
    for name, rows in tables.items():
        table.write(rows, root / "data" / "ingest" / f"{name}.parquet")
    (root / "data" / "ingest" / "test.parquet").write_bytes(b"closed")
    labels = sorted(tables["train"]["label"].unique())
    shutil.copytree(ROOT / "data" / "identity_terms", root / "data" / "identity_terms")
    write_json({"labels": labels, "descriptions": {}}, root / "data" / "ingest" / "labels.json")
    return root
