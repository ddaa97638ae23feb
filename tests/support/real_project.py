"""A copy of this project with few rows of the demo and a tiny encoder, and its real commands run in it."""

import csv
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

from flows.prefect_server import url_file
from pipeline.core.params import read_yaml, to_yaml
from tests.support.flow_project import BIN, ROOT, environment

# Long enough to be killed in the middle, with a checkpoint by then.
FINETUNE = {"method": "full", "epochs": 6, "checkpoint_steps": 4}


def make(root: Path, encoder: Path, server: str) -> Path:
    """What a commit of the working tree would hold, with few rows, the tiny encoder and no limits in the gate.

    A Prefect server is announced as `gleaner ui` does, so that no run has to start one.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).exists() and file != "dvc.lock":
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
    for name, rows in (("unlabelled.csv", 80), ("test.csv", 60)):
        shorten(root / "data" / "demo" / name, rows)
    limits = {name: None for name in read_yaml(root / "params.yaml")["gate"]}
    change(
        root,
        encoder={"source": "path", "name": str(encoder), "sha256": None, "max_length": 32},
        finetune=FINETUNE,
        evaluate={"bootstrap": 100},
        fairness={"bootstrap": 100},
        explain={"bootstrap": 100, "lime_samples": 40, "errors": 3, "sample": 12},
        gate=limits | {"min_test_rows": 10},
        promotion={"max_gap_increase": None, "max_detectable": None, "max_judgements": 20},
    )
    url_file(root / ".prefect").parent.mkdir()
    url_file(root / ".prefect").write_text(server)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root: Path, *words: str) -> None:
    """Run git under a name of its own."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True)


def shorten(path: Path, rows: int) -> None:
    """Keep some rows of a CSV file, drawn with a seed."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *random.Random(0).sample(lines, rows)])


def change(root: Path, **sections: Any) -> None:
    """Set values in params.yaml."""
    content = read_yaml(root / "params.yaml")
    for section, values in sections.items():
        content[section] |= values
    (root / "params.yaml").write_text(to_yaml(content))


def start(root: Path, *words: str) -> subprocess.Popen[str]:
    """Start a tool of this environment, activated, in the copy: only loopback is up, no server of the user is known."""
    known = {name: value for name, value in environment(root).items() if not name.startswith("GIT_")}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return subprocess.Popen(
        [f"{BIN}/{words[0]}", *words[1:]],
        cwd=root,
        env=known | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a tool that was started; its exit code is what most tests look at."""
    out, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment in the copy to its end."""
    return end(start(root, *words))


def forget(root: Path, *stages: str) -> None:
    """Make DVC forget that these stages ever ran, but nothing that they read."""
    lock = read_yaml(root / "dvc.lock")
    lock["stages"] = {name: one for name, one in lock["stages"].items() if name not in stages}
    (root / "dvc.lock").write_text(to_yaml(lock))
    shutil.rmtree(root / ".dvc" / "cache" / "runs")
    for stage in stages:
        shutil.rmtree(root / "data" / stage)


def process_of(module: str, root: Path) -> int:
    """The id of the process that runs a module of the copy."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[1:3] == [b"-m", module.encode()] and os.path.samefile(folder / "cwd", root):
                return int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise LookupError(f"no process runs {module} in {root}")
