"""Shared by the tests of back-translation: params, gold rows, what the stage wrote, and a stand-in for apertium."""

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.params import BackTranslate
from pipeline.core.stage import Paths

needs_apertium = pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
TEXTS = [
    "I lost my card yesterday.",
    "The government\n\nannounced new  taxes.",
    "000001",
    "Who won the game?",
    "[brackets] <b>tags</b> ^$ \\ {}",
]


def params(**changes: Any) -> BackTranslate:
    """Params of the stage for Apertium with small batches, and these changes."""
    base = {
        "engine": "apertium",
        "apertium": ["eng-spa", "spa-eng"],
        "marian": ["there", "back"],
        "marian_revisions": [],
        "batch_size": 2,
        "max_ratio": 3.0,
        "weight": 0.5,
    }
    return BackTranslate.model_validate(base | changes)


def write_gold(root: Path, texts: list[str]) -> dict[str, str]:
    """Write gold rows of one label and one group; return the texts by id."""
    ids = [table.row_id("test", text) for text in texts]
    rows = table.make(id=ids, source_id=ids, text=texts, label=["a"] * len(texts), origin="gold")
    table.write(rows.assign(**{"group.age": "young"}), Paths(root).data("ingest") / "train.parquet")
    return dict(zip(ids, texts, strict=True))


def read_output(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The accepted and the rejected rows that the stage wrote."""
    folder = Paths(root).data("back_translate")
    return table.read(folder / "train.parquet"), pd.read_parquet(folder / "rejected.parquet")


def install_apertium(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program called ``apertium`` first on the PATH; in its script, ``$REAL`` is the installed one."""
    program = root / "bin" / "apertium"
    program.parent.mkdir()
    program.write_text(f"#!/bin/bash\nREAL={shutil.which('apertium')}\nLOG={root}/calls\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
