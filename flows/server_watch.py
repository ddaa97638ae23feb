"""Ends a run whose Prefect server is gone, in one line and soon.

Prefect itself tries again at each of its calls, for minutes, and logs each failure.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

INTERVAL = 1.0  # seconds between two looks
GRACE = 10.0  # seconds for the flow to close its MLflow run and to end its stages
EXIT_CODE = 1


@contextmanager
def watched_server(url: str) -> Iterator[None]:
    """Watch a server on loopback for the block; when it is gone, the process ends with exit code 1.

    The block is interrupted as by SIGTERM, and whatever it raises then is dropped. A server elsewhere is not watched:
    its network may come back.
    """
    address = urlsplit(url)
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        yield
        return
    over, gone = threading.Event(), threading.Event()
    watch = threading.Thread(target=end_with_server, args=(address.hostname, address.port or 80, over, gone))
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        over.set()
        if gone.is_set():
            os._exit(EXIT_CODE)  # Prefect would ask the server once more at the end of the interpreter


def end_with_server(host: str, port: int, over: threading.Event, gone: threading.Event) -> None:
    """Wait until the block is over or nothing listens any more; then say so, interrupt the block, and exit."""
    while not over.wait(INTERVAL):
        if not is_listening(host, port):
            break
    else:
        return
    gone.set()
    print(
        f"error: expected the Prefect server at http://{host}:{port} to answer, found that it ended during the run; "
        "what was done is kept: run this again",
        file=sys.stderr,
        flush=True,
    )
    silence()
    os.kill(os.getpid(), signal.SIGTERM)
    over.wait(GRACE)
    os._exit(EXIT_CODE)


def silence() -> None:
    """Drop what the process prints from now on: Prefect logs each call that fails, events with all their content."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for printed in (1, 2):
        os.dup2(nowhere, printed)


def is_listening(host: str, port: int) -> bool:
    """Whether something listens at a port; true where that cannot be told, because the machine is busy."""
    try:
        socket.create_connection((host, port), timeout=INTERVAL).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True
