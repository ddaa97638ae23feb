"""Stages run one by one in a project root made for it, outside DVC: what `gleaner ablate` and the benchmarks share.

Such a root holds a params.yaml and data/; the code stays where it is, and vectors of texts are shared with the project.
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

from ruamel.yaml import YAML

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, read_yaml
from pipeline.core.stage import Paths

PROJECT = Path(__file__).parents[2]
LOOKED_UP = re.compile(
    r"^embed: (\d+) texts, (\d+) of them known$", re.MULTILINE
)  # what pipeline.models.embeddings says
CHANGE = re.compile(r",(?=[a-z_]+\.[a-z_.]+=)")  # the comma before the next change, not one inside a list
SPEED_ROWS = 2048  # texts that are embedded to see how long one takes; with few, half-filled batches count


@dataclass(frozen=True)
class StageCost:
    """What a stage that ended well cost."""

    seconds: float
    looked_up: int = 0  # texts whose vectors it needed
    known: int = 0  # those of them that were there already, so that it did not pay for them

    def cold(self, seconds_per_text: float) -> float:
        """The seconds it would have taken with no vector there."""
        return self.seconds + self.known * seconds_per_text


class StageFailed(Exception):
    """A stage that ended badly, with the last line that it printed."""


def stages(last: str, first: str | None = None, project: Path = PROJECT) -> list[str]:
    """The names in dvc.yaml from ``first`` to ``last``, in the file's order: a stage comes after those it needs."""
    names = list(read_yaml(project / "dvc.yaml")["stages"])
    return names[names.index(first) if first else 0 : names.index(last) + 1]


def run_stage(stage: str, root: Path) -> StageCost:
    """Run one stage in ``root`` as a process of its own; its output goes to ``<stage>.log`` there.

    Raises UserError with the stage's own line for a user's mistake, StageFailed for anything else.
    """
    log = root / f"{stage}.log"
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    started = time.monotonic()
    with log.open("wb") as out:
        command = [sys.executable, "-m", f"pipeline.stages.{stage}"]
        code = subprocess.run(command, cwd=root, stdout=out, stderr=subprocess.STDOUT, env=env, check=False).returncode
    seconds = time.monotonic() - started
    said = log.read_text(encoding="utf-8", errors="replace")
    if code:
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "no output")
        mistake = code == 2 and last.startswith("error: ")
        raise UserError(last.removeprefix("error: ")) if mistake else StageFailed(f"{stage}, exit code {code}: {last}")
    counts = [(int(texts), int(known)) for texts, known in LOOKED_UP.findall(said)]
    return StageCost(seconds, sum(texts for texts, _ in counts), sum(known for _, known in counts))


def share_embeddings(root: Path, store: Path) -> None:
    """Let the stages in ``root`` use the vectors in the folder ``store``, and leave theirs there."""
    store.mkdir(parents=True, exist_ok=True)
    place = Paths(root).scratch("embeddings")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(store.resolve(), target_is_directory=True)


def share_terms(root: Path) -> None:
    """Let the stages in ``root`` find the project's lists of identity terms."""
    place = Paths(root).data("identity_terms")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(PROJECT / "data" / "identity_terms", target_is_directory=True)


def seconds_per_text(texts: list[str], folder: Path, encoder: Encoder) -> float:
    """How long the encoder in ``folder`` takes for one of the texts, loading it not counted, in an empty store."""
    from pipeline.models.embeddings import embed

    few = list(dict.fromkeys(texts))
    few = few[:: max(1, len(few) // SPEED_ROWS)][:SPEED_ROWS]
    with TemporaryDirectory() as empty:

        def timed(part: list[str], store: str) -> float:
            started = time.monotonic()
            embed(part, folder, encoder, Paths(Path(empty) / store))
            return time.monotonic() - started

        timed(few[:1], "imports")
        loading = timed(few[:1], "loading")
        return max(0.0, timed(few, "texts") - loading) / max(1, len(few) - 1)


def parse_changes(text: str) -> dict[str, Any]:
    """``finetune.method=head,finetune.lr=1e-5`` as dotted keys of params.yaml with their values, read as YAML."""
    changes = {}
    for change in CHANGE.split(text):
        key, equals, value = change.partition("=")
        if not (equals and "." in key):
            raise UserError(
                f'expected changes like finetune.method=head,finetune.lr=1e-5, found "{change}"; correct it'
            )
        changes[key.strip()] = YAML(typ="safe", pure=True).load(value)
    return changes


def changed(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of params.yaml's content with these dotted keys set; UserError for one that it does not have."""
    result = deepcopy(dict(content))
    for path, value in changes.items():
        *sections, key = path.split(".")
        place: Any = result
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or key not in place:
            raise UserError(f"{path}: expected a key of params.yaml, found none of that name; correct it")
        place[key] = value
    return result
