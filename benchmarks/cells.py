"""One cell of the benchmark, a method on k labels a class drawn with a seed: run once, scored and stored."""

import ast
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import project
from benchmarks.log import commit
from benchmarks.processes import ProcessCost, run_measured
from benchmarks.project import BenchmarkPaths
from benchmarks.tasks import ROOT, Task
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, validate_params
from pipeline.core.stage import read_json, write_atomically, write_json
from pipeline.experiments.stage_runner import StageFailed, apply_changes, parse_changes, stage_names
from pipeline.metrics import label_scores

Record = dict[str, Any]
METHODS = ("tfidf", "probe", "self_training", "setfit", "gleaner")
SETFIT = ROOT / "benchmarks" / "scratch" / "setfit" / "bin" / "python"
SHARED = ("benchmarks/tasks.py", "benchmarks/project.py")
CODE = {
    "setfit": ("benchmarks/setfit_peer.py", "benchmarks/setfit.txt"),
    "gleaner": ("benchmarks/whole_pipeline.py",),
}
PEER_CODE = (
    "benchmarks/peers.py",
    "pipeline/models/embeddings.py",
    "pipeline/models/encoder_graph.py",
    "pipeline/models/encoder.py",
    "pipeline/stages/evaluate.py",
)
LIBRARIES = ("torch", "transformers", "scikit-learn", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Method:
    """A method as named on the command line; what follows the colon changes params, or the options of the peer."""

    name: str
    kind: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What is measured: a method on k labels a class, drawn with a seed."""

    k: int
    seed: int
    method: Method

    @property
    def key(self) -> tuple[str, int, int]:
        """The key of the cell among the results."""
        return self.method.name, self.k, self.seed


@dataclass(frozen=True)
class SharedSetup:
    """What the cells of a task share."""

    task: Task
    content: dict[str, Any]  # of params.yaml
    encoder: Path
    seconds_per_text: float
    digest: str  # of the rows and the encoder


def parse_method(name: str) -> Method:
    """The method of this name; ``gleaner:finetune.method=full`` is gleaner with that change.

    Raises UserError for an unknown method.
    """
    kind, _, changes = name.partition(":")
    if kind not in METHODS:
        raise UserError(f'--methods: expected {", ".join(METHODS)}, maybe with changes after a colon, found "{kind}"')
    if not changes:
        return Method(name, kind, {})
    if kind == "gleaner":
        return Method(name, kind, parse_changes(changes))
    options = parse_changes(re.sub(r"(^|,)(?=\w+=)", rf"\1{kind}.", changes))
    return Method(name, kind, {key.split(".", 1)[1]: value for key, value in options.items()})


def params_for(method: Method, shared: SharedSetup) -> dict[str, Any]:
    """The content of params.yaml for a cell of this method, checked."""
    content = apply_changes(shared.content, method.changes) if method.kind == "gleaner" else shared.content
    validate_params(content)
    return content


def fingerprint(method: Method, shared: SharedSetup) -> str:
    """Hash of all that a result of this method depends on but k and seed; a cell with the same hash is not rerun."""
    content = params_for(method, shared)
    sections: set[str] = {"encoder"}
    code: Iterable[str] = CODE.get(method.kind, PEER_CODE)
    if method.kind == "gleaner":
        graph = read_yaml(ROOT / "dvc.yaml")["stages"]
        used = [graph[stage] for stage in stage_names("export")]
        sections |= {name for stage in used for name in stage["params"]}
        code = {*code, *(dep for stage in used for dep in stage["deps"] if dep.startswith("pipeline/"))}
    inputs = [method.changes, {name: content[name] for name in sorted(sections)}, shared.digest]
    return short_digest(
        json.dumps(inputs, sort_keys=True) + "".join(code_meaning(ROOT / path) for path in sorted({*code, *SHARED}))
    )


@cache
def code_meaning(path: Path) -> str:
    """The code in a file or folder without comments and layout; a file in another language as it is."""
    if path.is_dir():
        return "".join(code_meaning(file) for file in sorted(path.rglob("*.py")))
    text = path.read_text(encoding="utf-8")
    return ast.dump(ast.parse(text)) if path.suffix == ".py" else text


def short_digest(text: str) -> str:
    """The first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_cell(cell: Cell, shared: SharedSetup, paths: BenchmarkPaths) -> Record:
    """Run one cell in a separate process and return its record; the record of a failure holds the error."""
    method, task = cell.method, shared.task
    folder = paths.scratch / "cells" / short_digest(f"{task.name} {cell.key}")
    record: Record = {"method": method.name, "k": cell.k, "seed": cell.seed, "fingerprint": fingerprint(method, shared)}
    provenance = {"commit": commit(), "date": str(date.today())}  # of the code as it is when the cell starts
    try:
        set_up_cell(cell, folder, shared, paths)
        measured = run_process(method, folder)
        outcome = score_predictions(folder, task) | measure_cost(folder, measured, shared)
        shutil.rmtree(folder)
    except (UserError, StageFailed, CellFailed) as error:
        outcome = {"error": str(error)}
    versions = {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]}
    versions |= outcome.pop("versions", {})
    return record | outcome | provenance | {"versions": versions}


class CellFailed(Exception):
    """A cell's process failed, with the last line that it printed."""


def set_up_cell(cell: Cell, folder: Path, shared: SharedSetup, paths: BenchmarkPaths) -> None:
    """Write the cell's folder, and pretrain where the params ask for it. Raises UserError for a peer without labels."""
    if not cell.k and cell.method.kind != "gleaner":
        raise UserError(f"k: expected at least one label a class for {cell.method.name}, found 0")
    content = params_for(cell.method, shared)
    project.write_cell(folder, shared.task, cell.k, cell.seed, content, paths)
    done = project.pretrain_once(shared.task, content, paths) if cell.method.kind == "gleaner" else None
    if done:
        shutil.copytree(done[0], folder / "data" / "pretrain")
    description = {
        "method": cell.method.kind,
        "options": cell.method.changes,
        "seed": cell.seed,
        "encoder": str(shared.encoder),
        "done": ["pretrain"] if done else [],
        "pretrain_seconds": done[1] if done else 0.0,
    }
    write_json(description, folder / "cell.json")


def run_process(method: Method, folder: Path) -> ProcessCost:
    """Run the method's process to its end. Raises CellFailed if it fails, UserError if SetFit is not installed."""
    env = {"GOMP_SPINCOUNT": "1000"} | os.environ  # as the stages set it
    if method.kind == "setfit":
        if not SETFIT.exists():
            raise UserError("setfit: expected its own environment, found none; run `make bench-setfit`")
        command = [str(SETFIT), str(ROOT / "benchmarks" / "setfit_peer.py"), str(folder)]
        env["HF_HUB_OFFLINE"] = "1"  # everything that it reads is on this machine
    else:
        module = "whole_pipeline" if method.kind == "gleaner" else "peers"
        command = [sys.executable, "-m", f"benchmarks.{module}", str(folder)]
    measured = run_measured(command, ROOT, folder / "cell.log", env)
    if measured.code:
        lines = (folder / "cell.log").read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        raise CellFailed(
            f"exit code {measured.code}: {last}; see {(folder / 'cell.log').relative_to(folder.parents[1])}"
        )
    return measured


def score_predictions(folder: Path, task: Task) -> Record:
    """Accuracy and macro-F1 of the predictions, which are in the order of the test rows."""
    predicted = read_json(folder / "predictions.json")
    return {
        "accuracy": round(label_scores.accuracy(task.test.labels, predicted), 6),
        "macro_f1": round(label_scores.macro_f1(task.test.labels, predicted), 6),
        "test_rows": len(predicted),
    }


def measure_cost(folder: Path, measured: ProcessCost, shared: SharedSetup) -> Record:
    """Seconds to train with the stored vectors of texts, and with none stored (cold); peak memory."""
    trained, pretrain = read_json(folder / "trained.json"), read_json(folder / "cell.json")["pretrain_seconds"]
    record = {
        "seconds": round(trained["seconds"], 1),
        "seconds_cold": round(trained["seconds"] + trained["known"] * shared.seconds_per_text, 1),
        "texts": trained["looked_up"],
        "seconds_whole": round(measured.seconds, 1),  # prediction of the test rows included
        "gib": round(measured.memory / 2**30, 2),
    }
    extra = {"pretrain_seconds": round(pretrain, 1)} if pretrain else {}
    return record | extra | {name: trained[name] for name in ("stages", "versions") if name in trained}


def read_results(path: Path) -> dict[tuple[str, int, int], Record]:
    """The records of the cells that were run, by method, k and seed."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(record["method"], record["k"], record["seed"]): record for record in records}


def store_record(record: Record, path: Path) -> None:
    """Add a record to the results, in place of an older one: a line a cell, sorted, written whole or not at all."""
    results = read_results(path)
    results[record["method"], record["k"], record["seed"]] = record
    lines = [json.dumps(results[key], ensure_ascii=False) for key in sorted(results)]
    write_atomically(path, lambda part: part.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def is_finished(record: Record | None, method: Method, shared: SharedSetup, any_code: bool) -> bool:
    """Whether a cell has a score already; unless ``any_code``, the score must be of this code and these params."""
    if record is None or "error" in record:
        return False
    return any_code or record["fingerprint"] == fingerprint(method, shared)
