"""The lock that lets only one night at a time work in a project, whoever starts it."""

from contextlib import AbstractContextManager
from pathlib import Path

from flows.exclusive_lock import exclusive_lock
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


def night_lock(root: Path) -> AbstractContextManager[None]:
    """Hold the project's lock for a block; a killed process frees it.

    Entering the block raises UserError where another night holds it.
    """
    return exclusive_lock(Paths(root).scratch("retrain") / "lock", "retrain: expected no other night at work here")


def is_night_running(root: Path) -> bool:
    """Whether a night holds the project's lock right now."""
    try:
        with night_lock(root):
            return False
    except UserError:
        return True
