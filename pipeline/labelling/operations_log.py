"""What data/operations.jsonl says: what prune and forget removed, one JSON line an operation, oldest first."""

import json
from pathlib import Path
from typing import Any

LOG = Path("data") / "operations.jsonl"
STARTED, DONE = "forget", "forgotten"  # operations of `gleaner forget`: before anything is removed, and at its end
REWRITTEN = "rewritten"  # operation of `gleaner forget`: a file of arrivals gets another digest


def read_entries(root: Path, *operations: str) -> list[dict[str, Any]]:
    """The entries of these operations, oldest first. A line that was cut off is left out."""
    if not (root / LOG).exists():
        return []
    entries = []
    for line in (root / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("operation") in operations:
            entries.append(entry)
    return entries


def unfinished_arrivals(root: Path) -> set[str]:
    """The arrival files, as paths in the project, that a forget which was cut off may have rewritten."""
    started: list[dict[str, Any]] = []
    for entry in read_entries(root, STARTED, DONE):
        if entry["operation"] == STARTED:
            started.append(entry)
        else:
            started = [begun for begun in started if not {*begun["ids"]} <= {*entry["ids"]}]
    return {name for begun in started for name in begun["arrivals"]}


def rewritten_digests(root: Path) -> list[tuple[str, str, str]]:
    """For each file of arrivals that a forget has rewritten: its name, the digest before, and the one after."""
    return [(entry["file"], entry["before"], entry["after"]) for entry in read_entries(root, REWRITTEN)]
