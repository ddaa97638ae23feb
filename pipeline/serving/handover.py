"""What the service is to serve, as a file: tasks/serving writes it, and each worker reads it when it changes.

So a worker needs no registry and no MLflow, and goes on with what it has when the registry is gone.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipeline.core.stage import write_atomically


@dataclass(frozen=True)
class NamedBundle:
    """A bundle on this machine and what it has to be; ``number`` and ``model`` are None for one that is no version."""

    folder: str
    digest: str  # SHA-256 of its manifest
    model: str | None = None
    number: str | None = None
    verdict: dict[str, Any] | None = None  # how it became champion, by the promotion log
    gate: str | None = None  # the gate's verdict on it
    card: str | None = None  # its model card, Markdown


@dataclass(frozen=True)
class RegistryState:
    """Whether the registry answers; times are ISO 8601, UTC."""

    reachable: bool = True
    fault: str = ""
    asked: str = ""  # when it last answered


@dataclass(frozen=True)
class Handover:
    """What to serve. ``fault`` says why it is not what the promotion log names, or is empty."""

    served: NamedBundle | None = None
    shadow: NamedBundle | None = None
    registry: RegistryState = RegistryState()
    fault: str = ""
    versions: tuple[str, ...] | None = None  # the numbers of the registered versions; None if there is no registry


def write_handover(path: Path, handover: Handover) -> None:
    """Write the file in one step."""
    write_atomically(path, lambda part: part.write_text(json.dumps(asdict(handover)), encoding="utf-8"))


def read_handover(path: Path) -> Handover:
    """The content of the file; nothing to serve if there is no file yet."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Handover()
    return TypeAdapter(Handover).validate_json(content)
