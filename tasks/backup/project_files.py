"""Which files of a project belong into a backup, and in which order they are copied."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

STAGING = ".restoring"  # holds a project until its restore is finished; the project's folder may be a disk of its own
# Made anew by their tools, or bound to this machine and to the path of the project.
SKIPPED_NAMES = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".ipynb_checkpoints", ".git", STAGING}
SKIPPED_PATHS = {".prefect", ".dvc/tmp", "data/scratch", ".setup"}
DATABASE = "mlflow.db"
DATABASE_FILES = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", f"{DATABASE}.lock"}


@dataclass
class Tree:
    """The content of a folder: paths relative to the project, with ``/``."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)  # symbolic link: its target


def list_tree(root: Path, start: str, skipped: set[str], copied_links: Path | None = None) -> Tree:
    """The files, folders and links below ``start``, which is relative to ``root``; ``skipped`` paths are left out.

    A link that leads into ``copied_links`` (the DVC cache) counts as the file that it leads to.
    """
    tree = Tree()
    for path in walk(root, start, skipped):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            into_cache = copied_links is not None and path.resolve().is_relative_to(copied_links)
            if into_cache and path.is_file():
                tree.files.append(name)
            else:
                tree.links[name] = os.readlink(path)
        elif path.is_dir():
            tree.folders.append(name)
        elif path.is_file():  # neither a socket nor a pipe
            tree.files.append(name)
    return tree


def walk(root: Path, start: str, skipped: set[str]) -> Iterator[Path]:
    """Every path below ``start`` that is not skipped, folders before their content, links not followed."""
    top = root / start
    if start and is_skipped(top, root, skipped):
        return
    if start and os.path.lexists(top):
        yield top
    if top.is_symlink() or not top.is_dir():
        return
    for entry in sorted(top.iterdir()):
        yield from walk(root, entry.relative_to(root).as_posix(), skipped)


def is_skipped(path: Path, root: Path, skipped: set[str]) -> bool:
    """Whether a path is left out with all below it: one of ``skipped``, a virtual environment, or what tools remake."""
    if path.name in SKIPPED_NAMES:
        return True
    return path.relative_to(root).as_posix() in skipped or (path / "pyvenv.cfg").is_file()


def total_size(root: Path, names: list[str]) -> int:
    """The bytes of these files. Files that are gone count nothing."""
    total = 0
    for name in names:
        try:
            total += (root / name).stat().st_size
        except FileNotFoundError:
            continue
    return total
