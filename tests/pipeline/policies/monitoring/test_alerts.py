"""An alert begins once, ends after several looks without its finding, and may begin again then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.policies.monitoring.alerts import Alert, AlertChange, update_alerts
from pipeline.policies.monitoring.finding import FindingStatus, TrafficFinding, TrafficLook

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def finding(status: FindingStatus, name: str = "texts", key: str = "") -> TrafficFinding:
    """A finding of this status."""
    return TrafficFinding(name, status, "why", key=key)


def look(*findings: TrafficFinding, version: str | None = "3", at: datetime = NOW) -> TrafficLook:
    """A look with these findings."""
    return TrafficLook(version, "d" * 64, at - timedelta(days=1), at, 100, 100, 1, 0, findings, ())


def follow(*looks: tuple[str, FindingStatus]) -> list[str]:
    """What is told of each of these looks, a version and the status of its finding: begun, ended or nothing."""
    alerts: tuple[Alert, ...] = ()
    told = []
    for number, (version, status) in enumerate(looks):
        seen = look(finding(status), version=version, at=NOW + timedelta(minutes=number))
        change = update_alerts(alerts, seen, end_after=2)
        alerts = change.alerts
        told.append(" ".join(words_of(change)))
    return told


def words_of(change: AlertChange) -> list[str]:
    """What began and ended, an ended alert with its version."""
    return ["begun" for _ in change.begun] + [f"{alert.version} ended" for alert in change.ended]


def follow_one(*statuses: FindingStatus) -> list[str]:
    """What is told of looks at version 3."""
    return follow(*(("3", status) for status in statuses))


def test_an_alert_is_told_once_and_again_only_after_it_ended() -> None:
    assert follow_one("none", "found", "found", "none", "found", "none", "none", "none", "found") == [
        *("", "begun", "", "", "", "", "version 3 ended", "", "begun")
    ]


def test_too_few_rows_neither_begin_nor_end_an_alert() -> None:
    assert follow_one("insufficient", "found", "none", "insufficient", "insufficient", "none") == [
        *("", "begun", "", "", "", "version 3 ended")
    ]


def test_a_new_version_begins_an_alert_of_its_own_and_the_old_one_ends() -> None:
    assert follow(("3", "found"), ("4", "found"), ("4", "insufficient"), ("4", "found")) == [
        *("begun", "begun", "version 3 ended", "")
    ]
    assert follow(("3", "found"), ("4", "none"), ("3", "found")) == ["begun", "", ""]  # rolled back at once
    assert follow(("3", "found"), ("4", "none"), ("4", "none"), ("3", "found")) == [
        *("begun", "", "version 3 ended", "begun")
    ]


def test_an_alert_of_an_earlier_gleaner_has_no_version_and_ends() -> None:
    old = Alert("texts", "", NOW)
    first = update_alerts([old], look(finding("found")), end_after=2)
    second = update_alerts(first.alerts, look(finding("found")), end_after=2)
    assert [alert.version for alert in first.alerts] == ["", "version 3"]
    assert [alert.version for alert in second.alerts] == ["version 3"] and len(second.ended) == 1


def test_an_alert_keeps_when_it_began_and_each_key_has_its_own() -> None:
    first = update_alerts((), look(finding("found", "flood", "a"), finding("none", "flood", "b")), 1)
    assert [(alert.key, alert.since) for alert in first.alerts] == [("a", NOW)]
    later = NOW + timedelta(hours=1)
    both = look(finding("found", "flood", "a"), finding("found", "flood", "b"), at=later)
    second = update_alerts(first.alerts, both, 1)
    assert [(alert.key, alert.since) for alert in second.alerts] == [("a", NOW), ("b", later)]
    gone = update_alerts(second.alerts, replace(both, findings=both.findings[1:]), 1)  # key a sends nothing any more
    assert [alert.key for alert in gone.ended] == ["a"] and [alert.key for alert in gone.alerts] == ["b"]
