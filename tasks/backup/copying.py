"""Copies files while others may write them: each copy is one state of its file, and its SHA-256 is known."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError

BLOCK = 1 << 20  # bytes
ATTEMPTS = 5  # at a file that is written again and again
BUSY_SECONDS = 60.0  # to wait for a database that is being written


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file, and return its SHA-256 and its size in bytes.

    The copy is made again if the file changed meanwhile. Raises FileNotFoundError if the file is gone, UserError if it
    never stays as it is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(ATTEMPTS):
        before = stamp(source)
        digest, size = copy_once(source, target)
        if stamp(source) == before and size == before[0]:
            shutil.copystat(source, target)
            return digest, size
    raise UserError(f"{source}: expected a file that can be copied, found one that changes all the time; try again")


def stamp(path: Path) -> tuple[int, int, int]:
    """Size in bytes, time of the last change in nanoseconds, and inode of a file."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def copy_once(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file as it is read now; returns the SHA-256 and the number of bytes."""
    total, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(BLOCK):
            total.update(block)
            size += len(block)
            writing.write(block)
    return total.hexdigest(), size


def copy_or_link(source: Path, target: Path, twin: Path, twin_digest: str) -> tuple[str, int]:
    """Copy a file, or link ``target`` to ``twin`` where that has the same content: it then takes no more space."""
    if file_sha256(source) == twin_digest:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a file system without links
            os.link(twin, target)
            return twin_digest, target.stat().st_size
    return copy_file(source, target)


def copy_database(source: Path, target: Path) -> tuple[str, int]:
    """Copy a SQLite database by its own online backup, and return SHA-256 and size in bytes.

    It is one state of the database, whoever writes it meanwhile. Raises UserError if it is no database.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode=DELETE")
            fault = writing.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        fault = str(error)
    if fault != "ok":
        raise UserError(f"{source}: expected an intact SQLite database, found: {fault}; mend or remove it")
    return file_sha256(target), target.stat().st_size
