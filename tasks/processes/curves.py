"""Training curves while they grow: new lines of a stage's curves.jsonl are sent on while the stage runs."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INTERVAL = 2.0  # seconds between two reads of the file

Point = dict[str, Any]


class Tail:
    """Reads the complete lines of a JSON Lines file and sends each once.

    Lines of an earlier run are not read until the stage touches the file. A stage that starts anew truncates the file.
    One that resumes appends to it, and then its whole curve is sent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = file_stamp(path)
        self.offset = 0

    def read(self, send: Callable[[list[Point]], None]) -> None:
        """Pass the new points to ``send``. They count as read once it returns."""
        now = file_stamp(self.path)
        if now is None or now == self.before:
            return
        if now[1] < self.offset:
            self.offset = 0
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]  # the last line may still be in writing
        if complete:
            send([json.loads(line) for line in complete.splitlines()])
            self.offset += len(complete)


def file_stamp(path: Path) -> tuple[int, int] | None:
    """The time of the last change in nanoseconds and the size in bytes; None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


@contextmanager
def follow_curve(path: Path, send: Callable[[list[Point]], None]) -> Iterator[None]:
    """Send what is added to ``path`` while the block runs: every two seconds, and once more at its end."""
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
