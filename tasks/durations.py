"""How long the stages of a run will take: from what each took last on this machine, or else from the demo's run.

- A stage is estimated at what it took here last, except for its start scaled by how the number of rows has changed.
- A stage that never ran here with this encoder and these params of its own is estimated from the demo's run on two
  cores, scaled by rows, and where it runs the encoder by layers x width² and by cores; training has no such estimate.
- The total follows the longest chain of stages that need each other. Its range is wider where the demo's run is used.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Params, read_yaml
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.models import encoder as encoders
from tasks.dvc.repository import open_repo

START_SECONDS = 2.0  # of every stage, whatever the number of rows
# The demo's first run on two idle cores without a GPU (benchmarks/LOG.md, 2026-11-27). A stage that is not here runs
# without an estimate until it has run once.
DEMO_SECONDS = {
    "ingest": 2.0,
    "pretrain": 2.2,
    "synonyms": 9.9,
    "back_translate": 3.6,
    "swaps": 1.4,
    "pseudo_label": 33.8,
    "finetune": 6.6,
    "export": 19.4,
    "evaluate": 14.1,
    "counterfactual": 4.1,
    "fairness": 5.9,
    "explain": 28.6,
    "report": 2.5,
}
DEMO_ROWS, DEMO_CORES, DEMO_WORK = 2314, 2, 6 * 384**2
ENCODING = {"pseudo_label", "finetune", "export", "evaluate", "counterfactual", "fairness", "explain"}
SIZES = (("num_hidden_layers", "n_layers"), ("hidden_size", "dim"))  # keys of config.json, then those of DistilBERT
RANGES = {True: (0.7, 1.5), False: (0.4, 2.5)}  # of the total, by whether all of it ran here before
SHOWN = 4  # stages that the line names; the others are one sum


@dataclass(frozen=True)
class Estimate:
    """The seconds of each stage that will run, None where nobody can tell, and of the longest chain of them."""

    by_stage: dict[str, float | None]
    total: float
    ran_here: bool  # whether every stage that has an estimate ran on this machine before

    @property
    def line(self) -> str:
        """The estimate in one line; empty if no stage will run."""
        known = sorted(((value, name) for name, value in self.by_stage.items() if value is not None), reverse=True)
        unknown = [name for name, value in self.by_stage.items() if value is None]
        parts = [f"{name} {in_words(value)}" for value, name in known[:SHOWN]]
        if rest := known[SHOWN:]:
            parts.append(f"{len(rest)} more {in_words(sum(value for value, _ in rest))}")
        parts += [f"{name} not known before its first run" for name in unknown]
        if not known:
            return ", ".join(parts)
        low, high = (in_words(self.total * factor) for factor in RANGES[self.ran_here])
        source = "" if self.ran_here else ", from the demo's run"
        about = "more than" if unknown else "about"
        return f"{about} {in_words(self.total)} ({low} to {high}{source}): {', '.join(parts)}"


def in_words(seconds: float) -> str:
    """Seconds as "45 s", "2.5 min" or "1.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def estimate_stages(root: Path, params: Params, graph: Mapping[str, list[str]]) -> Estimate:
    """The estimate for the stages of ``graph`` (each with those that it needs) that are not up to date for DVC.

    Raises UserError if DVC cannot read the project.
    """
    rows = count_rows(root)
    factor = encoder_factor(params)
    by_stage: dict[str, float | None] = {}
    ran_here = True
    for name in stages_to_run(root, graph):
        record = read_record(root, name)
        if record.get("settings") == settings_digest(root, name):
            by_stage[name] = scale(record["seconds"], rows, record["rows"])
        else:
            by_stage[name] = estimate_from_demo(name, params, rows, factor)
            ran_here &= by_stage[name] is None
    return Estimate(by_stage, longest_chain(by_stage, graph), ran_here)


def stages_to_run(root: Path, graph: Mapping[str, list[str]]) -> list[str]:
    """The stages that are not up to date for DVC, and those that need one of them, in the order of ``graph``."""
    with open_repo(root) as repo:
        changed = {address.rpartition(":")[2] for address in repo.status()}
    outdated: list[str] = []
    for name, needs in graph.items():
        if name in changed or any(need in outdated for need in needs):
            outdated.append(name)
    return outdated


def estimate_from_demo(name: str, params: Params, rows: int, factor: float | None) -> float | None:
    """The seconds of a stage by the demo's run; None if it trains weights or is not in that run.

    ``factor`` is that of `encoder_factor`; where it is None, a stage that runs the encoder has no estimate either.
    """
    trains = {"pretrain": params.pretrain.objective != "none" or params.pretrain.from_scratch}
    trains |= {"finetune": params.finetune.method != "teacher_head"}
    trains |= {"pseudo_label": params.pseudo_label.teacher == "finetuned"}
    if name not in DEMO_SECONDS or trains.get(name) or (name in ENCODING and factor is None):
        return None
    seconds = scale(DEMO_SECONDS[name], rows, DEMO_ROWS)
    return START_SECONDS + (seconds - START_SECONDS) * factor if name in ENCODING and factor else seconds


def scale(seconds: float, rows: int, rows_then: int) -> float:
    """The seconds that a stage takes with ``rows`` if it took ``seconds`` with ``rows_then``; 0 rows are not known."""
    growth = rows / rows_then if rows and rows_then else 1.0
    start = min(seconds, START_SECONDS)
    return start + (seconds - start) * growth


def longest_chain(seconds: Mapping[str, float | None], graph: Mapping[str, list[str]]) -> float:
    """The seconds of the longest chain of stages of ``graph`` that need each other."""
    ends: dict[str, float] = {}
    for name, needs in graph.items():
        ends[name] = (seconds.get(name) or 0.0) + max((ends[need] for need in needs), default=0.0)
    return max(ends.values(), default=0.0)


def encoder_factor(params: Params) -> float | None:
    """How much longer than the demo's the encoder takes for a text on this machine; None if it is not here yet."""
    config = encoder_config(params.encoder)
    layers, width = (config.get(new, config.get(old)) for new, old in SIZES)
    if not isinstance(layers, int) or not isinstance(width, int):
        return None
    return layers * width**2 / DEMO_WORK * DEMO_CORES / len(os.sched_getaffinity(0))


def encoder_config(encoder: Encoder) -> dict[str, Any]:
    """The config.json of the encoder; empty if it is not on this machine, as nothing is downloaded for an estimate."""
    from huggingface_hub import try_to_load_from_cache

    try:
        if encoder.source == "hub":
            path = try_to_load_from_cache(encoder.name, "config.json", revision=encoder.revision)
        else:
            path = encoders.locate(encoder) / "config.json"
        return dict(read_json(Path(path))) if isinstance(path, str | Path) else {}
    except (UserError, OSError, ValueError):
        return {}  # the stage that reads it says what is wrong


def count_rows(root: Path) -> int:
    """The rows that ingest kept; 0 if it left no count."""
    path = Paths(root).data("ingest") / "metrics.json"
    rows: Any = read_json(path).get("rows", {}) if path.exists() else {}
    return sum(rows.get(split, 0) for split in ("train", "validation", "test", "unlabelled"))


def record_duration(root: Path, name: str, seconds: float) -> None:
    """Record what a stage took; data/scratch belongs to this machine, as a duration does."""
    content = {"seconds": round(seconds, 1), "rows": count_rows(root), "settings": settings_digest(root, name)}
    write_json(content, record_file(root, name))


def read_record(root: Path, name: str) -> dict[str, Any]:
    """What was recorded of a stage; empty if nothing was."""
    try:
        return dict(read_json(record_file(root, name)))
    except (UserError, OSError, ValueError):  # never run here, or killed
        return {}


def record_file(root: Path, name: str) -> Path:
    """Where the duration of a stage is recorded."""
    return Paths(root).scratch(name) / "duration.json"


def settings_digest(root: Path, name: str) -> str:
    """Digest of the encoder and of the sections of params.yaml that dvc.yaml names for the stage."""
    content, stage = read_yaml(root / "params.yaml"), read_yaml(root / "dvc.yaml")["stages"].get(name, {})
    sections = sorted({"encoder", *(key for key in stage.get("params", []) if isinstance(key, str))})
    return hashlib.sha256(json.dumps([content.get(key) for key in sections]).encode()).hexdigest()[:16]
