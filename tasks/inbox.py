"""The inboxes of a night: which files are complete and may be read, and where they go afterwards.

A file that is moved while somebody writes it loses what is written later. A slow writer should write under a hidden
name, or in another folder, and rename the file when it is complete.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import write_atomically
from pipeline.sources import arrival_files

TAKEN_FOLDER, SET_ASIDE_FOLDER = "taken", "set-aside"  # in an inbox
SETTLING_SECONDS = 2.0  # without a change, after which a file counts as complete
ReadTable = Callable[[Path], pd.DataFrame]


def list_ready_files(inbox: Path | str | None) -> tuple[list[Path], int]:
    """The complete files of an inbox in name order, and the number of entries that stay there.

    Files that are empty or still being written stay, and so do folders and broken links. README.md and hidden files
    do not count. The inbox may be one file.
    """
    if not inbox:
        return [], 0
    path = Path(inbox)
    entries = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if not is_ignored(entry))
    ready = finished_files([entry for entry in entries if entry.is_file() and entry.stat().st_size])
    return ready, len(entries) - len(ready)


def is_ignored(path: Path) -> bool:
    """Whether an entry of an inbox belongs to the inbox itself, and nobody put it there to be read."""
    return path.name.startswith(".") or path.name in ("README.md", TAKEN_FOLDER, SET_ASIDE_FOLDER)


def finished_files(paths: list[Path]) -> list[Path]:
    """The files that nobody is writing. If one has just changed, all are checked again two seconds after its change."""
    before = [file_stamp(path) for path in paths]
    age = time.time() - max((path.stat().st_mtime for path in paths), default=0)
    if age < SETTLING_SECONDS:
        time.sleep(min(SETTLING_SECONDS, SETTLING_SECONDS - age))
    return [path for path, stamp in zip(paths, before, strict=True) if file_stamp(path) == stamp]


def file_stamp(path: Path) -> tuple[int, int] | None:
    """The size in bytes and the time of the last change in nanoseconds; None if the file is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def read_files(paths: Iterable[Path], read: ReadTable) -> tuple[dict[Path, pd.DataFrame], dict[Path, str]]:
    """The rows of each file that can be read, and the reason for each that cannot."""
    tables: dict[Path, pd.DataFrame] = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            tables[path] = read(path)
        except UserError as error:
            unreadable[path] = str(error)
        except PermissionError:
            unreadable[path] = f"{path.name}: expected a file that may be read, found no permission; grant it"
    return tables, unreadable


def inbox_folder(inbox: Path | str) -> Path:
    """The folder that files of an inbox are moved into: the inbox, or its parent if the inbox is one file."""
    path = Path(inbox)
    return path if path.is_dir() else path.parent


def clear_inbox(inbox: Path | str | None, tables: Iterable[Path], unreadable: dict[Path, str], now: datetime) -> None:
    """Move the files out of an inbox, each unreadable one with its reason beside it. Call it last of all."""
    if not inbox:
        return
    home = inbox_folder(inbox)
    for path, why in unreadable.items():
        write_reason(home / SET_ASIDE_FOLDER / f"{path.name}.reason.txt", why)
        move_file(path, home / SET_ASIDE_FOLDER, now)
    for path in tables:
        if path.is_absolute() and path.exists():  # otherwise it is the name of a query
            move_file(path, home / TAKEN_FOLDER, now)


def write_reason(path: Path, why: str) -> None:
    """Write the reason why a file is unreadable."""
    write_atomically(path, lambda part: part.write_text(why + "\n", encoding="utf-8"))


def move_file(path: Path, folder: Path, now: datetime) -> None:
    """Move a file into ``folder``, under a name that begins with the time, so that it replaces no other file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{now.strftime(arrival_files.TIME_FORMAT)}-{path.name}"
    number = 2
    while target.exists():
        target, number = folder / f"{now.strftime(arrival_files.TIME_FORMAT)}-{number}-{path.name}", number + 1
    shutil.move(path, target)
