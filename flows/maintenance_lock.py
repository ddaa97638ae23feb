"""The lock that lets only one of backup, restore, prune and forget work in a project at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


@contextmanager
def maintenance_lock(root: Path) -> Iterator[None]:
    """Hold the lock for the block; a killed process frees it. Raises UserError where another command holds it."""
    path = Paths(root).scratch("maintenance") / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A soft lock would stay when the process is killed; the system frees a real one.
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text() or "unknown"
        raise UserError(
            f"{path}: expected no other backup, prune or forget at work, found process {holder}; wait for it"
        ) from None
    try:
        path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()
