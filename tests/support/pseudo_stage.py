"""The inputs of the stage pseudo_label for tests."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.stage import Metrics, Paths

GROUPS = ("north", "south", "=cmd()")

RunStage = Callable[..., tuple[Paths, Metrics]]


def project(
    root: Path,
    rows: Callable[..., pd.DataFrame],
    pairs: list[tuple[str, str]],
    tiny_encoder: Path,
    gold: int,
    held_out: int,
    descriptions: dict[str, str] | None = None,
) -> Paths:
    """The inputs of the stage: ``gold`` labelled rows, then ``held_out`` validation rows; the pool is the rest.

    There are no augmented rows; each pool row has a group.
    """
    paths = Paths(root)
    train, validation, pool = pairs[:gold], pairs[gold : gold + held_out], pairs[gold + held_out :]
    regions = pd.DataFrame({"group.region": [GROUPS[i % 3] for i in range(len(pool))]})
    tables = {
        "ingest/train": rows(train),
        "ingest/unlabelled": rows([(text, None) for text, _ in pool], origin="unlabelled", groups=regions),
        "ingest/validation": rows(validation),
        "synonyms/train": rows([]),
        "back_translate/train": rows([]),
        "swaps/train": rows([]),
        "swaps/unlabelled": rows([]),
    }
    for name, content in tables.items():
        table.write(content, root / "data" / f"{name}.parquet")
    labels = {"labels": ["account", "delivery", "refund"], "descriptions": descriptions or {"refund": "money back"}}
    (root / "data/ingest/labels.json").write_text(json.dumps(labels))
    (root / "data/pretrain").mkdir()
    (root / "data/pretrain/encoder").symlink_to(tiny_encoder)
    return paths


def read_csv(paths: Paths, name: str) -> pd.DataFrame:
    """A CSV file that the stage wrote."""
    return pd.read_csv(paths.data("pseudo_label") / name)
