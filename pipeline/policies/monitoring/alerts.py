"""Alerts with hysteresis: one begins with a finding, and ends after several looks in a row without it.

So a finding that comes and goes is told once. A look with too few rows neither begins nor ends anything. Each version
has its own alerts: those of a version that answers no more end by the looks at its successor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.policies.monitoring.finding import TrafficFinding, TrafficLook, title_of


@dataclass(frozen=True)
class Alert:
    """A finding that somebody was told of."""

    name: str
    key: str  # name or id of the API key; empty for a finding of all keys
    since: datetime
    clear: int = 0  # looks in a row without the finding
    version: str = ""  # title of the version; empty in a file of an earlier Gleaner, so that the alert ends

    @property
    def title(self) -> str:
        """The name for people, with the key."""
        return title_of(self.name, self.key)


@dataclass(frozen=True)
class AlertChange:
    """The alerts after a look, the findings that began one, and the alerts that ended."""

    alerts: tuple[Alert, ...]
    begun: tuple[TrafficFinding, ...]
    ended: tuple[Alert, ...]


def update_alerts(alerts: Sequence[Alert], look: TrafficLook, end_after: int) -> AlertChange:
    """The alerts after a look; an alert ends after ``end_after`` looks in a row without its finding."""
    found = {(look.title, finding.name, finding.key): finding for finding in look.found}
    unknown = {(look.title, finding.name, finding.key) for finding in look.findings if finding.status == "insufficient"}
    kept: list[Alert] = []
    ended: list[Alert] = []
    for alert in alerts:
        which = (alert.version, alert.name, alert.key)
        clear = 0 if which in found else alert.clear + (which not in unknown)
        (ended if clear >= end_after else kept).append(replace(alert, clear=clear))
    known = {(alert.version, alert.name, alert.key) for alert in alerts}
    begun = tuple(finding for which, finding in found.items() if which not in known)
    kept += [Alert(finding.name, finding.key, look.until, version=look.title) for finding in begun]
    return AlertChange(tuple(kept), begun, tuple(ended))
