"""Which limits of gate and promotion were changed from one training to the next, and what the gate had said before."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

SECTIONS = ("gate.", "promotion.")


@dataclass(frozen=True)
class LimitsOfTraining:
    """The limits that a training had by dotted key, as JSON; when it began, by whom, and the gate's verdict."""

    run: str
    at: str  # ISO 8601, UTC
    by: str
    verdict: str
    limits: Mapping[str, str]


@dataclass(frozen=True)
class LimitChange:
    """A limit that a training found changed; ``after`` is the gate's verdict on the training before, of run ``run``."""

    key: str
    was: str
    now: str
    at: str
    by: str
    after: str
    run: str

    def __str__(self) -> str:
        """The change in one line."""
        when = self.at[:16].replace("T", " ")
        return (
            f"{self.key} {self.was} → {self.now}, by {self.by} at {when} UTC, after the gate said {self.after} (run "
            f"{self.run[:8]})"
        )


def find_limit_changes(trainings: Sequence[LimitsOfTraining]) -> list[LimitChange]:
    """Every change between consecutive ``trainings``, oldest first; a key that one of both lacks is no change."""
    return [
        LimitChange(key, was, later.limits[key], later.at, later.by, earlier.verdict, earlier.run)
        for earlier, later in pairwise(trainings)
        for key, was in earlier.limits.items()
        if key.startswith(SECTIONS) and later.limits.get(key, was) != was
    ]


def changes_to_json(changes: Sequence[LimitChange]) -> str:
    """The changes as JSON."""
    return json.dumps([asdict(change) for change in changes], ensure_ascii=False)


def changes_from_json(content: str) -> list[LimitChange]:
    """The changes in JSON; none if somebody changed its layout."""
    try:
        found: Any = json.loads(content)
        return [LimitChange(**{name: str(value) for name, value in change.items()}) for change in found]
    except (ValueError, TypeError, AttributeError):
        return []
