"""The lock that lets only one of backup, restore, clean, prune and forget work in a project at a time."""

from contextlib import AbstractContextManager
from pathlib import Path

from flows.exclusive_lock import exclusive_lock
from pipeline.core.stage import Paths


def maintenance_lock(root: Path) -> AbstractContextManager[None]:
    """Hold the lock for a block; a killed process frees it.

    Entering the block raises UserError where another command holds it.
    """
    path = Paths(root).scratch("maintenance") / "lock"
    return exclusive_lock(path, f"{path}: expected no other backup, clean, prune or forget at work")
