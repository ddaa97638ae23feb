"""What a look at traffic comes to: findings with plain words, slices, and all of it as plain data and back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FindingStatus = Literal["found", "none", "insufficient", "off"]
TRAFFIC_REASONS = ("texts", "answers", "accuracy")  # the findings that justify a training
SLICE_CAPTIONS = {
    "label": "Labels: share of the texts, and its change since the training, the largest first",
    "key": "Keys: share of the texts, and share of the key's answers that changed since the training, beyond chance",
}


@dataclass(frozen=True)
class TrafficFinding:
    """One question to the traffic and its answer; numbers are None where there were too few rows, or no limit."""

    name: str  # texts, answers, accuracy, feedback, abstained, near_copies, near_border, flood
    status: FindingStatus
    sentence: str  # for people; it quotes no text
    rows: int = 0
    value: float | None = None
    low: float | None = None  # of the interval of the value
    high: float | None = None
    limit: float | None = None
    key: str = ""  # name or id of the API key, where the question is asked of each key

    @property
    def title(self) -> str:
        """The name for people, with the key."""
        return title_of(self.name, self.key)


@dataclass(frozen=True)
class TrafficSlice:
    """The part of the traffic with one answered label, or of one key, and how it changed since the training."""

    by: Literal["label", "key"]
    name: str  # NO_LABEL for the texts that got none
    rows: int  # distinct texts
    share: float  # of the distinct texts of the traffic, 0 to 1; several keys may send one text
    change: float  # of a label: of its share; of a key: the share of its answers that changed, beyond chance
    confidence: float  # mean, 0 to 1

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name or "(no label)"


@dataclass(frozen=True)
class TrafficLook:
    """All findings of one look; times are UTC."""

    version: str | None
    digest: str
    since: datetime
    until: datetime
    rows: int
    texts: int  # distinct ones
    keys: int
    damaged: int  # files that could not be read
    findings: tuple[TrafficFinding, ...]
    slices: tuple[TrafficSlice, ...]
    note: str = ""  # on what may be missing, for people

    @property
    def title(self) -> str:
        """The version for people."""
        return f"version {self.version}" if self.version else f"the bundle {self.digest[:12]}"

    @property
    def found(self) -> tuple[TrafficFinding, ...]:
        """The findings that call for somebody."""
        return tuple(finding for finding in self.findings if finding.status == "found")

    def named(self, name: str) -> TrafficFinding:
        """The finding of this name that is asked of no single key."""
        return next(finding for finding in self.findings if finding.name == name)


def title_of(name: str, key: str) -> str:
    """The name of a finding for people, with its key where it has one."""
    return f"{name.replace('_', ' ')}{f' ({key})' if key else ''}"
