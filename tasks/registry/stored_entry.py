"""An entry of the promotion log as MLflow stores it: in the tags of a version. It needs no MLflow to be read."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from pipeline.policies.promotion.entry import Entry, entry_from_json
from pipeline.policies.promotion.ledger import Ledger, build_ledger
from tasks.git.lineage import json_digest

CONTENT, DIGEST = "gleaner.entry", "gleaner.sha256"  # tags of an entry
StoredEntry = tuple[int, int, Mapping[str, str]]  # its number, the time in ms since 1970, its tags


def log_name(model: str) -> str:
    """The registered model whose versions are the log's entries."""
    return f"{model}-promotions"


def parse_entry(stored: StoredEntry) -> Entry | None:
    """The entry; None if it cannot be read."""
    number, milliseconds, tags = stored
    try:
        content = json.loads(tags[CONTENT])
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        intact = tags.get(DIGEST) == json_digest(content)
        return entry_from_json(content | {"number": number, "at": at, "intact": intact})
    except (KeyError, ValueError, ValidationError):
        return None


def parse_log(stored: Iterable[StoredEntry]) -> Ledger:
    """The log of these entries. Those that are missing or were changed are listed as faults."""
    listed = list(stored)
    entries, faults = [], []
    numbers = {number for number, _, _ in listed}
    for missing in sorted(set(range(1, max(numbers, default=0) + 1)) - numbers):
        faults.append(f"entry {missing} of the promotion log is missing: somebody deleted it")
    for one in listed:
        entry = parse_entry(one)
        if entry is None or not entry.intact:
            faults.append(f"entry {one[0]} of the promotion log is not as it was written: somebody changed it")
        if entry is not None:
            entries.append(entry)
    return build_ledger(entries, faults)
