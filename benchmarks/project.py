"""What a cell starts from: params, raw files, an encoder and the store of vectors, without labels of test rows."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.tasks import ROOT, Task, draw_labelled
from pipeline.commands import configure
from pipeline.core import table
from pipeline.core.params import Params, to_yaml, validate_params
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments.stage_runner import run_stage, share_embeddings, share_terms
from pipeline.models import encoder as encoders
from pipeline.training.checkpoints import fingerprint

# Ingest needs a test file, but no stage up to export reads it: it gets one row that is in no data set.
STAND_IN = "this row stands in for the test file"
INGEST: dict[str, Any] = {
    "source": "files",
    "path": "raw",
    "train": ["train.jsonl"],
    "validation": [],
    "test": ["stand_in.jsonl"],
    "unlabelled": [],
    "format": "jsonl",
    "columns": {"text": ["text"], "label": "label", "split": None, "groups": {}},
    "group_bins": {},
    "split": {"validation": 0.0, "test": 0.0, "stratify": True},
    "labels_per_class": None,  # only the gold rows of the file have labels
    "unlabelled_limit": None,  # the whole pool, as for every other method
}


@dataclass(frozen=True)
class BenchmarkPaths:
    """The files and folders of a benchmark."""

    params: Path = ROOT / "params.yaml"
    scratch: Path = ROOT / "benchmarks" / "scratch"
    results: Path = ROOT / "benchmarks" / "results"
    log: Path = ROOT / "benchmarks" / "LOG.md"
    store: Path = ROOT / "data" / "scratch" / "embeddings"


def cell_params(task: Task, params: Path) -> dict[str, Any]:
    """The content of params.yaml with the example's overlay, for the raw files of a cell."""
    yaml = configure.round_trip_yaml()
    merged = yaml.load(params.read_text(encoding="utf-8"))
    configure.merge(configure.expand_data_folder(task.overlay, "raw", params), merged)
    text = StringIO()
    yaml.dump(merged, text)
    plain = YAML(typ="safe", pure=True).load(text.getvalue())
    plain["ingest"] |= INGEST
    plain["ingest"]["labels"] |= {"rename": {}, "drop": []}  # the rows are renamed already
    validate_params(plain)
    return plain


def write_cell(folder: Path, task: Task, k: int, seed: int, params: dict[str, Any], paths: BenchmarkPaths) -> None:
    """Write a cell's folder anew: params.yaml, raw/, test.jsonl and the shared store; k may be 0 for Gleaner."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "raw").mkdir(parents=True)
    if not k:  # the file must still name the classes: ingest reads one row of each and drops its label
        params = params | {"ingest": params["ingest"] | {"labels_per_class": 0}}
    gold = set(draw_labelled(task.train, k or 1, seed))
    labels = (label if i in gold else "" for i, label in enumerate(task.train.labels))
    rows = [{"text": text, "label": label} for text, label in zip(task.train.texts, labels, strict=True) if text]
    write_rows([*rows, *({"text": text, "label": ""} for text in task.pool)], folder / "raw" / "train.jsonl")
    write_rows([{"text": STAND_IN, "label": min(task.train.labels)}], folder / "raw" / "stand_in.jsonl")
    write_rows([{"text": text} for text in task.test.texts], folder / "test.jsonl")
    (folder / "params.yaml").write_text(to_yaml(params), encoding="utf-8")
    share_embeddings(folder, paths.store)
    share_terms(folder)


def write_rows(rows: list[dict[str, str]], path: Path) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def pretrain_once(task: Task, plain: dict[str, Any], paths: BenchmarkPaths) -> tuple[Path, float] | None:
    """The output of pretrain on all raw text of the task, and its seconds; None where the params pretrain nothing.

    It depends on no label, so one encoder serves every k, seed and method. It is kept by params, code and corpus.
    """
    params = validate_params(plain)
    if params.pretrain.objective == "none":
        return None
    texts = list(dict.fromkeys(filter(None, [*task.train.texts, *task.pool])))
    code = sorted((ROOT / "pipeline" / "stages" / "pretrain").glob("*.py"))
    inputs = [fingerprint([params.pretrain, params.encoder], code), texts]
    root = paths.scratch / "pretrain" / hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
    finished = root / "finished.json"
    if not finished.exists():
        stage_paths, ids = Paths(root), [table.row_id(f"raw {i}", text) for i, text in enumerate(texts)]
        pool = table.make(id=ids, source_id=ids, text=texts, origin="unlabelled")
        table.write(pool, stage_paths.data("ingest") / "unlabelled.parquet")
        table.write(table.empty_like(pool), stage_paths.data("ingest") / "train.parquet")
        (root / "params.yaml").write_text(to_yaml(plain), encoding="utf-8")
        share_terms(root)
        write_json({"seconds": run_stage("pretrain", root).seconds}, finished)
    return Paths(root).data("pretrain"), read_json(finished)["seconds"]


def encoder_folder(params: Params, done: tuple[Path, float] | None) -> Path:
    """The encoder that every method of a task starts from."""
    return done[0] / "encoder" if done else encoders.locate(params.encoder)
