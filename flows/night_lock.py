"""The lock that lets only one night at a time work in a project, whoever starts it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


@contextmanager
def night_lock(root: Path) -> Iterator[None]:
    """Hold the project's lock for the block; a killed process frees it.

    Raises UserError where another night holds it.
    """
    path = Paths(root).scratch("retrain") / "lock"
    # A soft lock would stay when the process is killed; the system frees a real one.
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text() or "unknown"
        raise UserError(f"retrain: expected no other night at work here, found process {holder}; wait for it") from None
    try:
        path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def is_night_running(root: Path) -> bool:
    """Whether a night holds the project's lock right now."""
    try:
        with night_lock(root):
            return False
    except UserError:
        return True
