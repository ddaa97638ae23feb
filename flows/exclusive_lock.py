"""A lock of a project that one process at a time holds, and that names its holder to the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import UserError


@contextmanager
def exclusive_lock(path: Path, expected: str) -> Iterator[None]:
    """Hold the lock at ``path`` for the block; a killed process frees it.

    Raises UserError where another process holds it; ``expected`` begins the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A soft lock would stay when the process is killed; the system frees a real one.
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text() or "unknown"
        raise UserError(f"{expected}, found process {holder}; wait for it") from None
    try:
        path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()
