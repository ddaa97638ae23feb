"""A git and DVC project of stages that are one line of shell, and `run_stage` on it without a flow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.logging import disable_run_logger

from pipeline.core.params import to_yaml
from tasks import stage
from tasks.processes.process import Processes
from tasks.stage_outcome import StageOutcome

BIN = Path(sys.executable).parent


def make_stages(root: Path, stages: dict[str, dict[str, Any]], files: dict[str, str]) -> Path:
    """Make the project and commit it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "dvc.yaml").write_text(to_yaml({"stages": stages}))
    (root / ".gitignore").write_text("/data\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["git", "init", "-q", "-b", "main"],
        [f"{BIN}/dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", *identity, "commit", "-q", "-m", "first"],
    ):
        subprocess.run(command, cwd=root, check=True)
    return root


def shell_stage(name: str, command: str, outs: list[str], **rest: Any) -> dict[str, Any]:
    """A stage that runs a line of shell with its outputs in data/<name>."""
    return {"cmd": f"mkdir -p data/{name} && {command}", "outs": [f"data/{name}/{out}" for out in outs], **rest}


@contextmanager
def processes_without_flow() -> Iterator[Processes]:
    """The processes of a block in which tasks are called as plain functions."""
    with disable_run_logger(), Processes() as processes:
        yield processes


def run_stage(root: Path, name: str) -> StageOutcome:
    """Run one stage as the flow does."""
    with processes_without_flow() as processes:
        state = stage.run_stage.fn(name, root, processes, lambda *_: None)
    outcome: StageOutcome = stage.state_data(state)
    return outcome


def overwrite(path: Path, content: str) -> None:
    """Replace the content of a file, and keep its time, its number and its mode, as a failing disk does."""
    before = path.stat()
    path.chmod(0o600)
    path.write_text(content)
    path.chmod(before.st_mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cached_objects(root: Path, content: str) -> list[Path]:
    """The objects of the DVC cache with this content."""
    objects = (path for path in (root / ".dvc" / "cache" / "files").rglob("*") if path.is_file())
    return [path for path in objects if path.read_text() == content]
