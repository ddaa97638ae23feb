"""Removes what a run makes: the outputs of stages, data/scratch and Prefect's records; never a file that git tracks."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UserError
from tasks.dvc.graph import is_stage
from tasks.dvc.locks import busy_message, users_of_files
from tasks.dvc.repository import FilesInUse, open_repo
from tasks.git.command import run_git
from tasks.git.head import find_repository
from tasks.processes.open_files import users_of

SCRATCH, PREFECT = "data/scratch", ".prefect"
LOCK_NAMES = {"lock", "held"}  # a lock that is removed while a command holds it would be given twice


@dataclass(frozen=True)
class Removed:
    """What was removed of one output or folder."""

    path: str
    files: int
    bytes: int


def clean(root: Path) -> list[Removed]:
    """Remove what a run makes, and return it; outputs first, in the order of dvc.yaml.

    Raises FilesInUse while a stage is at work, and UserError while another process uses data/scratch or .prefect.
    """
    with open_repo(root) as repo, repo.lock:
        if users_of_files(repo):
            raise FilesInUse(busy_message(repo))
        require_unused(root)
        outs = [Path(out.fs_path) for stage in repo.index.stages if is_stage(stage) for out in stage.outs]
        inside = [path for path in outs if path.is_relative_to(root.resolve())]  # others may use what lies elsewhere
        tracked = tracked_files(root)
        places = [*(path.relative_to(root.resolve()).as_posix() for path in inside), SCRATCH, PREFECT]
        removed = [remove(root, place, tracked) for place in places]
    return [each for each in removed if each.files]


def require_unused(root: Path) -> None:
    """Raise UserError if a run, a night, a simulation, or a server of `gleaner ui` is at work in the project."""
    if users := users_of([root / SCRATCH, root / PREFECT]):
        named = ", ".join(map(str, users))
        raise UserError(
            f"{root}: expected no process that uses {SCRATCH} or {PREFECT}, found {named}; wait for its end, or stop it"
        )


def tracked_files(root: Path) -> set[str]:
    """The files that git tracks, relative to ``root``; none where there is no repository.

    Raises UserError if git cannot read the repository.
    """
    if find_repository(root) is None:
        return set()
    return {os.fsdecode(name) for name in run_git(root, "ls-files", "-z").split(b"\0") if name}


def remove(root: Path, place: str, tracked: set[str]) -> Removed:
    """Remove a file, or the files below a folder, except tracked files and locks; folders that are empty then go."""
    count = size = 0
    for path in files_below(root / place):
        is_lock = place == SCRATCH and path.name in LOCK_NAMES
        if is_lock or path.relative_to(root).as_posix() in tracked:
            continue
        count, size = count + 1, size + path.lstat().st_size
        path.unlink()
    remove_empty_folders(root / place, root)
    return Removed(place, count, size)


def files_below(path: Path) -> Iterator[Path]:
    """A file itself; of a folder, the files and links in it and in its folders."""
    if not path.is_dir():
        if path.exists() or path.is_symlink():
            yield path
        return
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in files)
        yield from (Path(folder, name) for name in folders if Path(folder, name).is_symlink())


def remove_empty_folders(path: Path, root: Path) -> None:
    """Remove the empty folders below ``path``, itself, and the folder above it where it is empty and not ``root``."""
    for folder, _, _ in os.walk(path, topdown=False):
        if not os.listdir(folder) and not os.path.islink(folder):
            os.rmdir(folder)
    parent = path.parent
    if parent != root and parent.is_dir() and not os.listdir(parent):
        parent.rmdir()
