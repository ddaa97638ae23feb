"""A copy of this project with few rows of the demo and a tiny encoder, and tools that are run in it."""

import csv
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pipeline.core.params import read_yaml, to_yaml
from tests.support.flow_project import BIN, ROOT, announce_server, tool_environment

# Long enough for a test to kill it in the middle, after a checkpoint.
FINETUNE = {"method": "full", "epochs": 6, "checkpoint_steps": 4}


def copy_project(root: Path, encoder: Path, server: str) -> Path:
    """Copy the files that git lists, with few rows, the tiny encoder and no limits in the gate, and commit them.

    A Prefect server is announced as by `gleaner ui`, so that no run has to start one.
    """
    list_files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(list_files, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).exists() and file != "dvc.lock":
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
    for name, rows in (("unlabelled.csv", 80), ("test.csv", 60)):
        shorten(root / "data" / "demo" / name, rows)
    limits = {name: None for name in read_yaml(root / "params.yaml")["gate"]}
    set_params(
        root,
        encoder={"source": "path", "name": str(encoder), "sha256": None, "max_length": 32},
        finetune=FINETUNE,
        evaluate={"bootstrap": 100},
        fairness={"bootstrap": 100},
        explain={"bootstrap": 100, "lime_samples": 40, "errors": 3, "sample": 12},
        gate=limits | {"min_test_rows": 10},
        promotion={"max_gap_increase": None, "max_detectable": None, "max_judgements": 20},
    )
    announce_server(root, server)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root: Path, *words: str) -> None:
    """Run git as the user test."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True)


def shorten(path: Path, rows: int) -> None:
    """Keep some rows of a CSV file, drawn with a seed."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *random.Random(0).sample(lines, rows)])


def set_params(root: Path, **sections: Any) -> None:
    """Set values in params.yaml."""
    content = read_yaml(root / "params.yaml")
    for section, values in sections.items():
        content[section] |= values
    (root / "params.yaml").write_text(to_yaml(content))


def start_tool(root: Path, *words: str) -> subprocess.Popen[str]:
    """Start a tool of this environment in the copy, with the variables of `tool_environment`."""
    variables = {name: value for name, value in tool_environment(root).items() if not name.startswith("GIT_")}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return subprocess.Popen(
        [f"{BIN}/{words[0]}", *words[1:]],
        cwd=root,
        env=variables | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_tool(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait until a started tool ends; returns its exit code and output."""
    out, error = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def run_tool(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment in the copy."""
    return wait_for_tool(start_tool(root, *words))


def find_process(module: str, root: Path) -> int:
    """The id of the process that runs a module of the copy. Raises LookupError if there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[1:3] == [b"-m", module.encode()] and os.path.samefile(folder / "cwd", root):
                return int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise LookupError(f"no process runs {module} in {root}")
