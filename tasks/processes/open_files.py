"""The files that processes of this machine hold open, as far as this user may see them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil


def open_files() -> Iterator[tuple[int, str, str]]:
    """Process id, path and mode (such as ``r`` or ``a+``) of each open file; none where no system tells."""
    for process in psutil.process_iter() if psutil.LINUX else ():
        with contextlib.suppress(psutil.Error, OSError):  # it has ended, or it is somebody else's
            for file in process.open_files():
                yield process.pid, file.path, file.mode


def users_of(folders: list[Path]) -> list[int]:
    """The ids of the other processes that hold a file below one of these folders open."""
    inside = tuple(f"{folder.resolve()}{os.sep}" for folder in folders)
    return sorted({process for process, path, _ in open_files() if path.startswith(inside)} - {os.getpid()})
