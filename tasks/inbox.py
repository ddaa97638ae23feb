"""The inboxes of a night: which files are whole and may be read, and where they go once they were.

A file that is moved while somebody writes it would lose what is written later. Whoever writes slowly had better write
under a hidden name, or elsewhere, and rename the file when it is done.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import replace
from pipeline.sources import arrived

TAKEN, ASIDE = "taken", "set-aside"  # folders in an inbox
SETTLING = 2.0  # seconds without a change after which a file passes for whole
Read = Callable[[Path], pd.DataFrame]


def waiting(inbox: Path | str | None) -> tuple[list[Path], int]:
    """The files of an inbox in name order, and how many entries are left there for a later night or for people.

    Left are files that are empty or still being written, folders, and links to nothing. The inbox may be one file.
    README.md and hidden files count as nothing.
    """
    if not inbox:
        return [], 0
    place = Path(inbox)
    found = [place] if place.is_file() else sorted(path for path in place.iterdir() if not own(path))
    whole = at_rest([path for path in found if path.is_file() and path.stat().st_size])
    return whole, len(found) - len(whole)


def own(path: Path) -> bool:
    """Whether an entry of an inbox was not dropped there."""
    return path.name.startswith(".") or path.name in ("README.md", TAKEN, ASIDE)


def at_rest(paths: list[Path]) -> list[Path]:
    """Those of the files that nobody is writing: where one has just changed, all are looked at a second time."""
    before = [mark(path) for path in paths]
    age = time.time() - max((path.stat().st_mtime for path in paths), default=0)
    if age < SETTLING:
        time.sleep(min(SETTLING, SETTLING - age))
    return [path for path, then in zip(paths, before, strict=True) if mark(path) == then]


def mark(path: Path) -> tuple[int, int] | None:
    """What changes with a file's content; None for one that is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def read_all(paths: Iterable[Path], read: Read) -> tuple[dict[Path, pd.DataFrame], dict[Path, str]]:
    """The rows of each file that can be read, and why the others cannot."""
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


def folder_of(inbox: Path | str) -> Path:
    """Where files of an inbox are moved to: below it, or beside it where it is one file."""
    place = Path(inbox)
    return place if place.is_dir() else place.parent


def clear(inbox: Path | str | None, tables: Iterable[Path], unreadable: dict[Path, str], now: datetime) -> None:
    """Move the files of an inbox aside, last of all; an unreadable one with the reason beside it."""
    if not inbox:
        return
    home = folder_of(inbox)
    for path, why in unreadable.items():
        told = home / ASIDE / f"{path.name}.reason.txt"
        replace(told, lambda part, why=why: part.write_text(why + "\n", encoding="utf-8"))  # type: ignore[misc]
        move(path, home / ASIDE, now)
    for path in tables:
        if path.is_absolute() and path.exists():  # not the name of a query
            move(path, home / TAKEN, now)


def move(path: Path, folder: Path, now: datetime) -> None:
    """Move a file, under a name that tells when, so that none of the same name is in the way."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{now.strftime(arrived.NAMED)}-{path.name}"
    number = 2
    while place.exists():
        place, number = folder / f"{now.strftime(arrived.NAMED)}-{number}-{path.name}", number + 1
    shutil.move(path, place)
