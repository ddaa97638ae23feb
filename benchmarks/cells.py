"""One cell of the benchmark: a method on k labels a class drawn with a seed; run, scored, kept, not run twice."""

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

import numpy as np

from benchmarks import project
from benchmarks.log import commit
from benchmarks.processes import Measured, measure
from benchmarks.project import Places
from benchmarks.tasks import ROOT, Task
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, validate
from pipeline.core.stage import read_json, replace, write_json
from pipeline.experiments.stage_runner import StageFailed, changed, parse_changes, stages
from pipeline.metrics import statistics

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
    "pipeline/models/encoder.py",
    "pipeline/stages/evaluate.py",
)
LIBRARIES = ("torch", "transformers", "scikit-learn", "onnxruntime")


@dataclass(frozen=True)
class Method:
    """A method as it was asked for; whatever follows the colon changes params, or the peer's own options."""

    name: str
    kind: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What is to be measured."""

    k: int
    seed: int
    method: Method

    @property
    def key(self) -> tuple[str, int, int]:
        """Its place among the results."""
        return self.method.name, self.k, self.seed


@dataclass(frozen=True)
class Prepared:
    """What the cells of a task share."""

    task: Task
    content: dict[str, Any]  # of params.yaml
    encoder: Path
    seconds_per_text: float
    digest: str  # of the rows and the encoder


def parse(name: str) -> Method:
    """``gleaner:finetune.method=head`` is gleaner with that change; UserError for a method that there is not."""
    kind, _, changes = name.partition(":")
    if kind not in METHODS:
        raise UserError(f'--methods: expected {", ".join(METHODS)}, maybe with changes after a colon, found "{kind}"')
    if not changes:
        return Method(name, kind, {})
    if kind == "gleaner":
        return Method(name, kind, parse_changes(changes))
    options = parse_changes(re.sub(r"(^|,)(?=\w+=)", rf"\1{kind}.", changes))
    return Method(name, kind, {key.split(".", 1)[1]: value for key, value in options.items()})


def params_of(method: Method, shared: Prepared) -> dict[str, Any]:
    """The content of params.yaml for a cell of this method, checked."""
    content = changed(shared.content, method.changes) if method.kind == "gleaner" else shared.content
    validate(content)
    return content


def fingerprint(method: Method, shared: Prepared) -> str:
    """Hash of everything that a result of this method depends on but k and seed: a cell with the same is not rerun."""
    content = params_of(method, shared)
    sections: set[str] = {"encoder"}
    code: Iterable[str] = CODE.get(method.kind, PEER_CODE)
    if method.kind == "gleaner":
        graph = read_yaml(ROOT / "dvc.yaml")["stages"]
        used = [graph[stage] for stage in stages("export")]
        sections |= {name for stage in used for name in stage["params"]}
        code = {*code, *(dep for stage in used for dep in stage["deps"] if dep.startswith("pipeline/"))}
    told = [method.changes, {name: content[name] for name in sorted(sections)}, shared.digest]
    return sha(json.dumps(told, sort_keys=True) + "".join(meaning(ROOT / path) for path in sorted({*code, *SHARED})))


@cache
def meaning(path: Path) -> str:
    """What the code in a file or folder does: its text without comments and layout."""
    if path.is_dir():
        return "".join(meaning(file) for file in sorted(path.rglob("*.py")))
    text = path.read_text(encoding="utf-8")
    return ast.dump(ast.parse(text)) if path.suffix == ".py" else text


def sha(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run(cell: Cell, shared: Prepared, places: Places) -> Record:
    """Measure one cell in a process of its own; a failure is a record with its error."""
    method, task = cell.method, shared.task
    folder = places.scratch / "cells" / sha(f"{task.name} {cell.key}")
    record: Record = {"method": method.name, "k": cell.k, "seed": cell.seed, "fingerprint": fingerprint(method, shared)}
    made = {"commit": commit(), "date": str(date.today())}  # of the code as it is when the cell starts
    try:
        set_up(cell, folder, shared, places)
        measured = start(method, folder)
        outcome = score(folder, task) | cost(folder, measured, shared)
        shutil.rmtree(folder)
    except (UserError, StageFailed, CellFailed) as error:
        outcome = {"error": str(error)}
    versions = {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]}
    versions |= outcome.pop("versions", {})
    return record | outcome | made | {"versions": versions}


class CellFailed(Exception):
    """A cell's process ended badly, with the last line that it printed."""


def set_up(cell: Cell, folder: Path, shared: Prepared, places: Places) -> None:
    """Fill the cell's folder, and have pretraining done where the params ask for it."""
    if not cell.k and cell.method.kind != "gleaner":
        raise UserError(f"k: expected at least one label a class for {cell.method.name}, found 0")
    content = params_of(cell.method, shared)
    project.write(folder, shared.task, cell.k, cell.seed, content, places)
    done = project.pretrained(shared.task, content, places) if cell.method.kind == "gleaner" else None
    if done:
        shutil.copytree(done[0], folder / "data" / "pretrain")
    about = {
        "method": cell.method.kind,
        "options": cell.method.changes,
        "seed": cell.seed,
        "encoder": str(shared.encoder),
        "done": ["pretrain"] if done else [],
        "pretrain_seconds": done[1] if done else 0.0,
    }
    write_json(about, folder / "cell.json")


def start(method: Method, folder: Path) -> Measured:
    """Run the method's process to its end; CellFailed with its last words when that is a bad one."""
    env = {"GOMP_SPINCOUNT": "1000"} | os.environ  # as the stages set it
    if method.kind == "setfit":
        if not SETFIT.exists():
            raise UserError("setfit: expected its own environment, found none; run `make bench-setfit`")
        command = [str(SETFIT), str(ROOT / "benchmarks" / "setfit_peer.py"), str(folder)]
        env["HF_HUB_OFFLINE"] = "1"  # all that it reads is here
    else:
        module = "whole_pipeline" if method.kind == "gleaner" else "peers"
        command = [sys.executable, "-m", f"benchmarks.{module}", str(folder)]
    measured = measure(command, ROOT, folder / "cell.log", env)
    if measured.code:
        lines = (folder / "cell.log").read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        raise CellFailed(
            f"exit code {measured.code}: {last}; see {(folder / 'cell.log').relative_to(folder.parents[1])}"
        )
    return measured


def score(folder: Path, task: Task) -> Record:
    """Accuracy and macro-F1 of the predictions, by the order of the test rows."""
    predicted = read_json(folder / "predictions.json")
    names = sorted({*task.test.labels, *task.train.labels, *predicted})
    place = {name: number for number, name in enumerate(names)}
    truth, found = (np.array([place[label] for label in labels]) for labels in (task.test.labels, predicted))
    counts = statistics.confusion(truth, found, len(names))
    return {
        "accuracy": round(float(statistics.accuracy(counts)), 6),
        "macro_f1": round(float(statistics.macro_f1(counts)), 6),
        "test_rows": len(truth),
    }


def cost(folder: Path, measured: Measured, shared: Prepared) -> Record:
    """Seconds to train as run, where vectors of texts were there already, and as if none had been; peak memory."""
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
    """The cells that were run, by method, k and seed."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(record["method"], record["k"], record["seed"]): record for record in records}


def keep(record: Record, path: Path) -> None:
    """Add a cell to the results, in place of an older one: a line a cell, sorted, written whole."""
    results = read_results(path)
    results[record["method"], record["k"], record["seed"]] = record
    lines = [json.dumps(results[key], ensure_ascii=False) for key in sorted(results)]
    replace(path, lambda part: part.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def finished(record: Record | None, method: Method, shared: Prepared, any_code: bool) -> bool:
    """Whether a cell need not be run: it has a score, made by this code and these params unless any will do."""
    if record is None or "error" in record:
        return False
    return any_code or record["fingerprint"] == fingerprint(method, shared)
