"""Training curves as they grow: new lines of a stage's curves.jsonl, handed on while the stage runs."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INTERVAL = 2.0  # seconds between two looks at the file

Point = dict[str, Any]


class Tail:
    """Complete lines of a JSON Lines file, each handed on once.

    What an earlier run left in the file is not read until the stage touches it: a stage that starts anew truncates
    it, and one that resumes appends, so that its whole curve arrives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = stamp(path)
        self.offset = 0

    def read(self, send: Callable[[list[Point]], None]) -> None:
        """Hand the new points to ``send``; they count as read once it returns."""
        now = stamp(self.path)
        if now is None or now == self.before:
            return
        if now[1] < self.offset:
            self.offset = 0
        with self.path.open("rb") as file:
            file.seek(self.offset)
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]  # a line still being written is for the next look
        if whole:
            send([json.loads(line) for line in whole.splitlines()])
            self.offset += len(whole)


def stamp(path: Path) -> tuple[int, int] | None:
    """Time of the last change in nanoseconds, and size in bytes; None while there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


@contextmanager
def live(path: Path, send: Callable[[list[Point]], None]) -> Iterator[None]:
    """While the block runs, hand on what is added to ``path``, every few seconds and once more at its end."""
    tail, done = Tail(path), threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            tail.read(send)

    thread = threading.Thread(target=watch, name=f"curves of {path.parent.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        tail.read(send)
