"""The content of dvc.lock: which stage made which file, and from what."""

from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import Any

# Code and settings shape a stage as data does. They are rebuilt from git, and their text may be stored with a version.
CODE_FOLDERS = ("pipeline", "tasks", "flows", "cli")
SETTINGS_FILES = ("dvc.yaml", "params.yaml", "gleaner.yaml", ".dvcignore", "constraints.txt")

Lock = dict[str, Any]
LockEntry = dict[str, Any]  # path, md5 and size of a file; a folder also has nfiles, and its md5 ends in .dir


def is_lock(content: Any) -> bool:
    """Whether the content of a file has the form of a dvc.lock: stages by name, with paths that they read and write."""
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        return False
    stages = content["stages"]
    if not all(isinstance(name, str) and isinstance(stage, dict) for name, stage in stages.items()):
        return False
    entries = [entry for stage in stages.values() for key in ("deps", "outs") for entry in stage.get(key) or []]
    return all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for entry in entries)


def outputs(lock: Lock) -> dict[str, LockEntry]:
    """The outputs of all stages, by path."""
    return {out["path"]: out for stage in lock["stages"].values() for out in stage.get("outs", [])}


def md5_of(lock: Lock, path: str) -> str | None:
    """The MD5 of an output; None if no stage has an output of this path."""
    return outputs(lock).get(path, {}).get("md5")


def is_code(path: str) -> bool:
    """Whether a path names code or settings, and not data."""
    parts = PurePosixPath(path).parts
    return path in SETTINGS_FILES or path.endswith(".py") or (bool(parts) and parts[0] in CODE_FOLDERS)


def raw_data(lock: Lock) -> dict[str, LockEntry]:
    """The data that stages read and no stage made, by path."""
    made = outputs(lock)
    read = {dep["path"]: dep for stage in lock["stages"].values() for dep in stage.get("deps", [])}
    return {path: dep for path, dep in read.items() if path not in made and not is_code(path)}


def code_files(lock: Lock) -> dict[str, LockEntry]:
    """The code and settings that the stages depend on, by path."""
    read = {dep["path"]: dep for stage in lock["stages"].values() for dep in stage.get("deps", [])}
    return {path: dep for path, dep in read.items() if is_code(path)}


def stage_order(lock: Lock) -> list[str]:
    """The names of the stages, each after those whose outputs it reads."""
    makers = {out["path"]: name for name, stage in lock["stages"].items() for out in stage.get("outs", [])}
    needs = {
        name: {makers[dep["path"]] for dep in stage.get("deps", []) if dep["path"] in makers}
        for name, stage in lock["stages"].items()
    }
    return list(TopologicalSorter(needs).static_order())
