"""Alerts with hysteresis: one begins with a finding, and ends after several looks in a row without it.

So a finding that comes and goes is told once. A look with too few rows neither begins nor ends anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.policies.monitoring.finding import TrafficFinding


@dataclass(frozen=True)
class Alert:
    """A finding that somebody was told of."""

    name: str
    key: str  # name or id of the API key; empty for a finding of all keys
    since: datetime
    clear: int = 0  # looks in a row without the finding


@dataclass(frozen=True)
class AlertChange:
    """The alerts after a look, the findings that began one, and the alerts that ended."""

    alerts: tuple[Alert, ...]
    begun: tuple[TrafficFinding, ...]
    ended: tuple[Alert, ...]


def update_alerts(
    alerts: Sequence[Alert], findings: Sequence[TrafficFinding], now: datetime, end_after: int
) -> AlertChange:
    """The alerts after a look with these findings; an alert ends after ``end_after`` looks without its finding."""
    found = {(finding.name, finding.key): finding for finding in findings if finding.status == "found"}
    unknown = {(finding.name, finding.key) for finding in findings if finding.status == "insufficient"}
    kept: list[Alert] = []
    ended: list[Alert] = []
    for alert in alerts:
        which = (alert.name, alert.key)
        clear = 0 if which in found else alert.clear + (which not in unknown)
        (ended if clear >= end_after else kept).append(replace(alert, clear=clear))
    known = {(alert.name, alert.key) for alert in alerts}
    begun = tuple(finding for which, finding in found.items() if which not in known)
    kept += [Alert(finding.name, finding.key, now) for finding in begun]
    return AlertChange(tuple(kept), begun, tuple(ended))
