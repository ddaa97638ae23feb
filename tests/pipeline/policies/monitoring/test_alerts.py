"""An alert begins once, ends after several looks without its finding, and may begin again then."""

from datetime import UTC, datetime, timedelta

from pipeline.policies.monitoring.alerts import Alert, update_alerts
from pipeline.policies.monitoring.finding import FindingStatus, TrafficFinding

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def finding(status: FindingStatus, name: str = "texts", key: str = "") -> TrafficFinding:
    """A finding of this status."""
    return TrafficFinding(name, status, "why", key=key)


def follow(*looks: FindingStatus) -> list[str]:
    """What is told of each of these looks: begun, ended or nothing."""
    alerts: tuple[Alert, ...] = ()
    told = []
    for number, status in enumerate(looks):
        change = update_alerts(alerts, [finding(status)], NOW + timedelta(minutes=number), end_after=2)
        alerts = change.alerts
        told.append("begun" if change.begun else "ended" if change.ended else "")
    return told


def test_an_alert_is_told_once_and_again_only_after_it_ended() -> None:
    assert follow("none", "found", "found", "none", "found", "none", "none", "none", "found") == [
        *("", "begun", "", "", "", "", "ended", "", "begun")
    ]


def test_too_few_rows_neither_begin_nor_end_an_alert() -> None:
    assert follow("insufficient", "found", "none", "insufficient", "insufficient", "none") == [
        *("", "begun", "", "", "", "ended")
    ]


def test_an_alert_keeps_when_it_began_and_each_key_has_its_own() -> None:
    first = update_alerts((), [finding("found", "flood", "a"), finding("none", "flood", "b")], NOW, 1)
    assert [(alert.key, alert.since) for alert in first.alerts] == [("a", NOW)]
    later = NOW + timedelta(hours=1)
    second = update_alerts(first.alerts, [finding("found", "flood", "a"), finding("found", "flood", "b")], later, 1)
    assert [(alert.key, alert.since) for alert in second.alerts] == [("a", NOW), ("b", later)]
    gone = update_alerts(second.alerts, [finding("found", "flood", "b")], later, 1)  # key a sends nothing any more
    assert [alert.key for alert in gone.ended] == ["a"] and [alert.key for alert in gone.alerts] == ["b"]
