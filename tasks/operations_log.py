"""data/operations.jsonl: what prune and forget removed, one JSON line an operation, appended and never changed.

An entry is on disk before anything is removed. It holds ids, numbers and paths, and no text of a row.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.labelling.operations_log import LOG
from tasks.registry.store import user_name


def append_entry(root: Path, operation: str, content: dict[str, Any]) -> None:
    """Append an entry with the time and the user's name; it is on disk when this returns."""
    entry = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": user_name(), "operation": operation} | content
    path = root / LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        torn = file.seek(0, os.SEEK_END) > 0 and path.read_bytes()[-1:] != b"\n"  # by a process that was killed
        file.write((b"\n" if torn else b"") + json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
