"""Who uses a Prefect server that another command started: its owner waits for them before it stops the server.

Each run that uses the server holds a shared lock for as long as it does. The system frees the lock of a killed process.
"""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAITING = (
    "A run elsewhere uses this Prefect server: it stops when that run has ended; Ctrl-C again stops it now, and the "
    "run with it"
)


def lock_file(home: Path) -> Path:
    """The file that the users of a server lock."""
    return home / "server.users"


@contextmanager
def using_server(home: Path) -> Iterator[None]:
    """Count as a user of the server for the block. Enter it before the server is looked up: none stops in between."""
    home.mkdir(parents=True, exist_ok=True)
    with lock_file(home).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_used(home: Path) -> bool:
    """Whether a run uses the server."""
    with lock_file(home).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_for_users(home: Path) -> None:
    """Wait until no run uses the server. Announce no longer where it is, before: new runs start one of their own."""
    if is_used(home):
        print(WAITING, file=sys.stderr, flush=True)
    while is_used(home):
        time.sleep(0.5)
