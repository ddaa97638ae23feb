"""What a dvc.lock says: which stage made which file, and from what."""

from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import Any

# What shapes a stage besides data: it is rebuilt from git, and its text may be stored with a version.
FOLDERS = ("pipeline", "tasks", "flows", "cli")
SETTINGS = ("dvc.yaml", "params.yaml", ".dvcignore", "constraints.txt")

Lock = dict[str, Any]
Entry = dict[str, Any]  # path, md5 and size of a file; nfiles too of a folder, whose md5 ends in .dir


def outputs(lock: Lock) -> dict[str, Entry]:
    """What all stages made, by path."""
    return {out["path"]: out for stage in lock["stages"].values() for out in stage.get("outs", [])}


def md5_of(lock: Lock, path: str) -> str | None:
    """The MD5 of an output; None where no stage made one of this path."""
    return outputs(lock).get(path, {}).get("md5")


def is_code(path: str) -> bool:
    """Whether a path names code or settings, not data."""
    parts = PurePosixPath(path).parts
    return path in SETTINGS or path.endswith(".py") or (bool(parts) and parts[0] in FOLDERS)


def sources(lock: Lock) -> dict[str, Entry]:
    """The data that no stage made: what the graph begins with, by path."""
    made = outputs(lock)
    read = {dep["path"]: dep for stage in lock["stages"].values() for dep in stage.get("deps", [])}
    return {path: dep for path, dep in read.items() if path not in made and not is_code(path)}


def code(lock: Lock) -> dict[str, Entry]:
    """The code that the stages ran, by path."""
    read = {dep["path"]: dep for stage in lock["stages"].values() for dep in stage.get("deps", [])}
    return {path: dep for path, dep in read.items() if is_code(path)}


def order(lock: Lock) -> list[str]:
    """The stages, each after those whose outputs it reads."""
    makers = {out["path"]: name for name, stage in lock["stages"].items() for out in stage.get("outs", [])}
    needs = {
        name: {makers[dep["path"]] for dep in stage.get("deps", []) if dep["path"] in makers}
        for name, stage in lock["stages"].items()
    }
    return list(TopologicalSorter(needs).static_order())
