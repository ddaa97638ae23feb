"""Corrections on their way to the next night: each request becomes a file of its own in the inbox of corrections.

The file has its name only once its content is on the disk, so that a night never reads half of it, and a service that
is killed loses nothing that it had confirmed.
"""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import Feedback
from pipeline.sources import files


def inbox_folder(root: Path, feedback: Feedback) -> Path | None:
    """The folder for corrections; None where ``feedback.path`` is off or one file, to which nothing can be added.

    Raises UserError if it is missing.
    """
    if feedback.path is None:
        return None
    path = root / feedback.path
    if not files.exists(path):
        raise UserError(f"feedback.path: expected a folder, found no {feedback.path}; make it, or set it to null")
    return path if path.is_dir() else None


def store_correction(folder: Path, feedback: Feedback, key: str, text: str, label: str, version: str | None) -> Path:
    """Write one correction durably and return its file. Raises OSError if the disk does not take it."""
    names = feedback.columns
    row = {names.text: text, names.label: label, names.version: version}
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    name = f"service-{at}-{key}-{secrets.token_hex(6)}.jsonl"
    part, path = folder / f".{name}.part", folder / name
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path
