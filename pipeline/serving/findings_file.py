"""What the last look at the traffic found, as a file that each worker reads for its metrics."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.core.stage import write_atomically
from pipeline.policies.monitoring.finding import TrafficLook

FINDINGS_FILE = "findings.json"  # in the folder of the traffic


def write_look(path: Path, look: TrafficLook) -> None:
    """Write the file in one step."""
    content = json.dumps(asdict(look), default=datetime.isoformat, indent=1, ensure_ascii=False)
    write_atomically(path, lambda part: part.write_text(content, encoding="utf-8"))


def read_look(path: Path) -> TrafficLook | None:
    """The last look; None if there was none, or if the file is of another Gleaner."""
    try:
        return TypeAdapter(TrafficLook).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
