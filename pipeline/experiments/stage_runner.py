"""Stages run one by one outside DVC, in a project root made for it; `gleaner ablate` and the benchmarks use this.

Such a root holds a params.yaml and data/. It runs the installed code, and shares the project's store of text vectors.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.installed import CODE_FOLDER, template_folder
from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.core.yaml_file import parse_yaml, read_yaml

EMBED_LINE = re.compile(r"^embed: (\d+) texts, (\d+) of them known$", re.MULTILINE)  # printed by models/embeddings.py
CHANGE_SEPARATOR = re.compile(r",(?=[a-z_]+\.[a-z_.]+=)")  # the comma before the next change, not one inside a list
SPEED_ROWS = 2048  # texts embedded to measure how long one takes; with few, half-filled batches would distort it
SPEED_SECONDS = 10.0  # where a quarter of them takes longer than this, the quarter is enough


@dataclass(frozen=True)
class StageCost:
    """What a stage took that ended well."""

    seconds: float
    looked_up: int = 0  # texts whose vectors it asked the store for
    known: int = 0  # those of them whose vectors were in the store already

    def cold_seconds(self, seconds_per_text: float) -> float:
        """The seconds that the stage takes with an empty store of vectors."""
        return self.seconds + self.known * seconds_per_text


class StageFailed(Exception):
    """A stage that failed, with the last line that it printed."""


def stage_names(last: str, first: str | None = None) -> list[str]:
    """Gleaner's stages from ``first`` to ``last``, each after those that it needs, as in dvc.yaml."""
    names = list(read_yaml(template_folder() / "dvc.yaml")["stages"])
    return names[names.index(first) if first else 0 : names.index(last) + 1]


def run_stage(stage: str, root: Path) -> StageCost:
    """Run one stage in ``root`` as a separate process; what it prints goes to ``<stage>.log`` there.

    Raises UserError with the stage's message if it ends with one, and StageFailed if it fails otherwise.
    """
    log = root / f"{stage}.log"
    env = os.environ | {"PYTHONPATH": str(CODE_FOLDER)}
    started = time.monotonic()
    with log.open("wb") as out:
        command = [sys.executable, "-m", f"pipeline.stages.{stage}"]
        code = subprocess.run(command, cwd=root, stdout=out, stderr=subprocess.STDOUT, env=env, check=False).returncode
    seconds = time.monotonic() - started
    printed = log.read_text(encoding="utf-8", errors="replace")
    if code:
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "no output")
        is_user_error = code == 2 and last.startswith("error: ")
        raise (
            UserError(last.removeprefix("error: "))
            if is_user_error
            else StageFailed(f"{stage}, exit code {code}: {last}")
        )
    counts = [(int(texts), int(known)) for texts, known in EMBED_LINE.findall(printed)]
    return StageCost(seconds, sum(texts for texts, _ in counts), sum(known for _, known in counts))


def share_embeddings(root: Path, store: Path) -> None:
    """Link the ``store`` of text vectors into ``root``, so that its stages read from it and write to it."""
    store.mkdir(parents=True, exist_ok=True)
    link = Paths(root).scratch("embeddings")
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() != store.resolve():
        link.unlink()  # another machine of a cluster worked here before
    if not link.is_symlink():
        link.symlink_to(store.resolve(), target_is_directory=True)


def share_terms(root: Path, terms: Path | None = None) -> None:
    """Link the folder ``terms`` of identity terms into ``root``, by default that of Gleaner."""
    link = Paths(root).data("identity_terms")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        original = terms or template_folder() / "data" / "identity_terms"
        link.symlink_to(original.resolve(), target_is_directory=True)


def seconds_per_text(texts: list[str], folder: Path, encoder: Encoder) -> float:
    """Seconds that the encoder in ``folder`` takes for the vector of one of the texts, without the time to load it."""
    from pipeline.models.embeddings import embed

    distinct = list(dict.fromkeys(texts))
    sample = distinct[:: max(1, len(distinct) // SPEED_ROWS)][:SPEED_ROWS]
    with TemporaryDirectory() as empty:

        def timed(part: list[str], store: str) -> float:
            started = time.monotonic()
            embed(part, folder, encoder, Paths(Path(empty) / store))
            return time.monotonic() - started

        timed(sample[:1], "imports")
        loading = timed(sample[:1], "loading")
        few = sample[::4]
        seconds = timed(few, "quarter")
        if seconds > SPEED_SECONDS:
            return max(0.0, seconds - loading) / max(1, len(few) - 1)
        return max(0.0, timed(sample, "texts") - loading) / max(1, len(sample) - 1)


def parse_changes(text: str) -> dict[str, Any]:
    """Changes such as ``finetune.method=full,finetune.lr=1e-5`` as dotted keys of params.yaml and YAML values.

    Raises UserError if a change is not of this form, or its value is no YAML.
    """
    changes = {}
    for change in CHANGE_SEPARATOR.split(text):
        key, equals, value = change.partition("=")
        if not (equals and "." in key):
            raise UserError(
                f'expected changes like finetune.method=full,finetune.lr=1e-5, found "{change}"; correct it'
            )
        changes[key.strip()] = parse_yaml(value, key.strip())
    return changes


def apply_changes(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the content of params.yaml with ``changes``, dotted keys and values, made.

    Raises UserError if there is no such key.
    """
    result = deepcopy(dict(content))
    for path, value in changes.items():
        *sections, key = path.split(".")
        parent: Any = result
        for section in sections:
            parent = parent.get(section) if isinstance(parent, dict) else None
        if not isinstance(parent, dict) or key not in parent:
            raise UserError(f"{path}: expected a key of params.yaml, found none of that name; correct it")
        parent[key] = value
    return result
