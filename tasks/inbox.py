"""The inboxes of a night: which files are complete and may be read, and where they go afterwards.

A file that is moved while somebody writes it loses what is written later. On Linux, a file that a process of this
machine holds open for writing stays, if the process may be asked. A slow writer elsewhere should write under a hidden
name, or in another folder, and rename the file when it is complete.
"""

import hashlib
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import write_atomically
from pipeline.sources import arrival_files
from pipeline.sources.decoding import escape_invalid
from tasks.processes.open_files import open_files

TAKEN_FOLDER, SET_ASIDE_FOLDER = "taken", "set-aside"  # in an inbox
SETTLING_SECONDS = 2.0  # without a change, after which a file counts as complete
MAX_NAME_BYTES = 255  # of a file name, on the usual file systems
NAME_ROOM_BYTES = 60  # for the time before a name, and for .reason.txt and a temporary ending behind it
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
    ready = finished_files([entry for entry in entries if entry.is_file() and is_filled(entry)])
    return ready, len(entries) - len(ready)


def is_ignored(path: Path) -> bool:
    """Whether an entry of an inbox belongs to the inbox itself, and nobody put it there to be read."""
    return path.name.startswith(".") or path.name in ("README.md", TAKEN_FOLDER, SET_ASIDE_FOLDER)


def finished_files(paths: list[Path]) -> list[Path]:
    """The files that nobody is writing. If one has just changed, all are checked again two seconds after its change."""
    written = paths_open_for_writing() if paths else set()
    paths = [path for path in paths if str(path.resolve()) not in written]
    before = [file_stamp(path) for path in paths]
    age = time.time() - max((stamp[1] / 1e9 for stamp in before if stamp), default=0)
    if age < SETTLING_SECONDS:
        time.sleep(min(SETTLING_SECONDS, SETTLING_SECONDS - age))
    return [path for path, stamp in zip(paths, before, strict=True) if stamp and file_stamp(path) == stamp]


def paths_open_for_writing() -> set[str]:
    """The paths that processes hold open for writing, as far as this user may see them; none where no system tells."""
    return {path for _, path, mode in open_files() if set(mode) & set("wa+")}


def is_filled(path: Path) -> bool:
    """Whether a file is there and holds something."""
    stamp = file_stamp(path)
    return stamp is not None and stamp[0] > 0


def file_stamp(path: Path) -> tuple[int, int] | None:
    """The size in bytes and the time of the last change in nanoseconds; None if the file is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def read_files(paths: Iterable[Path], read: ReadTable) -> tuple[dict[Path, pd.DataFrame], dict[Path, str]]:
    """The rows of each file that can be read, and the reason for each that cannot.

    No file stops the others: what a reader did not foresee is a reason as well. Such a reason names the kind of error
    and where it came up, but not its message, which may quote the text of a row.
    """
    tables: dict[Path, pd.DataFrame] = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            tables[path] = read(path)
        except UserError as error:
            unreadable[path] = str(error)
        except PermissionError:
            name = escape_invalid(path.name)
            unreadable[path] = f"{name}: expected a file that may be read, found no permission; grant it"
        except Exception as error:  # noqa: BLE001  a library may raise anything, and its message may quote a row
            unreadable[path] = (
                f"{escape_invalid(path.name)}: expected a file that can be read, found one that ends in "
                f"{type(error).__name__} {place_of(error)}; check the file, and report this error if it is in order"
            )
    return tables, unreadable


def place_of(error: Exception) -> str:
    """Where an error came up: the file and line of the code."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


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
        write_reason(home / SET_ASIDE_FOLDER / f"{short_name(path.name)}.reason.txt", why)
        move_file(path, home / SET_ASIDE_FOLDER, now)
    for path in tables:
        if path.is_absolute() and path.exists():  # otherwise it is the name of a query
            move_file(path, home / TAKEN_FOLDER, now)


def write_reason(path: Path, why: str) -> None:
    """Write the reason why a file is unreadable."""
    write_atomically(path, lambda part: part.write_text(why + "\n", encoding="utf-8"))


def short_name(name: str) -> str:
    """A file name that leaves room for what is put before and after it: a long one is cut, and gets a digest of it all.

    The ending stays. Bytes that are not UTF-8 stay too.
    """
    data = os.fsencode(name)
    if len(data) <= MAX_NAME_BYTES - NAME_ROOM_BYTES:
        return name
    suffix = os.fsencode(Path(name).suffix)[-20:]
    kept = data[: MAX_NAME_BYTES - NAME_ROOM_BYTES - len(suffix) - 9].decode(errors="ignore").encode()
    return os.fsdecode(kept + b"-" + hashlib.sha256(data).hexdigest()[:8].encode() + suffix)


def move_file(path: Path, folder: Path, now: datetime) -> None:
    """Move a file into ``folder``, under a name that begins with the time, so that it replaces no other file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = short_name(path.name)
    target = folder / f"{now.strftime(arrival_files.TIME_FORMAT)}-{name}"
    number = 2
    while target.exists():
        target, number = folder / f"{now.strftime(arrival_files.TIME_FORMAT)}-{number}-{name}", number + 1
    shutil.move(path, target)
