"""Only one night at a time in a project, whoever starts it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths


@contextmanager
def night_lock(root: Path) -> Iterator[None]:
    """A lock on the project for the block; it goes with the process, however that ends.

    Raises UserError where another night holds it.
    """
    path = Paths(root).scratch("retrain") / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"retrain: expected no other night at work here, found process {file.read() or 'unknown'}; wait for it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_night_running(root: Path) -> bool:
    """Whether a night is at work in the project right now."""
    try:
        with night_lock(root):
            return False
    except UserError:
        return True
