"""What a look records and reads: an alert is told once, and none is lost where nobody could be told."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.policies.monitoring.finding import TrafficFinding, TrafficLook
from pipeline.serving.findings_file import FINDINGS_FILE, read_look
from pipeline.serving.keys import create_key, revoke_key
from pipeline.serving.traffic_files import ANSWERS, AnsweredTexts, answers_table, write_table
from tasks.monitor import look_at_traffic
from tasks.traffic_alerts import ALERTS_FILE, Send, record_look
from tasks.traffic_reference import (
    KEPT_AS,
    TESTED_FILE,
    TRAINING_FILE,
    MonitoredVersion,
    find_reference,
    summarise_predictions,
)
from tests.support.serving import params_with

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TODAY = datetime.now(UTC)  # files are in the folder of the day on which they are written
FOUND = TrafficFinding("texts", "found", "they differ")
VERSION = MonitoredVersion(Path("nowhere"), "d" * 64, "gleaner-demo", None)


def look(*findings: TrafficFinding, version: str = "3") -> TrafficLook:
    """A look with these findings."""
    return TrafficLook(version, "d" * 64, NOW - timedelta(days=1), NOW, 100, 100, 1, 0, findings, ())


def sending(sent: list[str], *faults: str) -> Send:
    """Keeps the bodies of messages, and comes back with these faults."""

    def send(_title: str, body: str) -> list[str]:
        sent.append(body)
        return list(faults)

    return send


def recorder(root: Path, *addresses: str) -> Callable[[TrafficLook, Send], None]:
    """Records looks with the project's params."""
    params = params_with("notify", to=list(addresses))
    return lambda seen, send: (record_look(root, params, seen, send), None)[1]


def test_an_old_alert_of_another_version_hides_no_new_one(tmp_path: Path) -> None:
    record, sent = recorder(tmp_path, "json://localhost"), list[str]()
    for version in ("3", "3", "4", "4", "4"):
        record(look(FOUND, version=version), sending(sent))
    assert [body.splitlines()[0].split(",")[0] for body in sent] == ["version 3", "version 4", "version 4"]
    assert "begun: texts" in sent[1] and "ended: texts of version 3, which had begun at 2026-12-01 12:00 UTC" in sent[2]
    (alert,) = json.loads((tmp_path / "data" / "traffic" / ALERTS_FILE).read_text())
    assert (alert["version"], alert["clear"]) == ("version 4", 0)


def test_what_no_address_took_is_told_by_the_next_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, sent = recorder(tmp_path, "json://a", "json://b"), list[str]()
    record(look(FOUND), sending(sent, "a is gone", "b is gone"))
    record(look(FOUND), sending(sent, "a is gone"))
    record(look(FOUND), sending(sent))
    assert len(sent) == 2 and capsys.readouterr().err.count("is gone") == 3
    for faults in ([], [], ["gone", "gone"], [], []):
        record(look(replace(FOUND, status="none")), sending(sent, *faults))
    assert len(sent) == 4 and all("ended: texts" in body for body in sent[2:])


def test_a_look_that_is_killed_while_it_sends_leaves_the_alert_to_the_next(tmp_path: Path) -> None:
    record, sent = recorder(tmp_path, "json://localhost"), list[str]()

    def killed(_title: str, _body: str) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(look(FOUND), killed)
    written = read_look(tmp_path / "data" / "traffic" / FINDINGS_FILE)
    assert written is not None and written.found == (FOUND,)
    record(look(FOUND), sending(sent))
    assert len(sent) == 1


def test_damaged_alerts_are_one_line_and_metrics_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "traffic"
    folder.mkdir(parents=True)
    (folder / ALERTS_FILE).write_text("{")
    with pytest.raises(UserError, match="expected the alerts of the last look, found something else; remove it"):
        recorder(tmp_path)(look(FOUND), sending([]))
    assert read_look(folder / FINDINGS_FILE) is not None


def put(root: Path, texts: int, ago: timedelta, key: str = "k") -> None:
    """Write a file of traffic of one key."""
    labels: list[str | None] = ["refund"] * texts
    ids, numbers = [f"{ago}-{row}" for row in range(texts)], list(range(texts))
    at, half = TODAY - ago, np.full(texts, 0.5, np.float32)
    rows = AnsweredTexts(at, key, "3", VERSION.digest, 1.0, ids, labels, half, half, np.ones((texts, 2)), numbers)
    write_table(root / "data" / "traffic", ANSWERS, answers_table([rows]))


def test_a_version_without_answers_says_what_may_be_missing_and_who_else_answered(tmp_path: Path) -> None:
    other = replace(VERSION, digest="e" * 64, number="4")
    empty = look_at_traffic(tmp_path, params_with(), other, TODAY)
    assert empty.rows == 0
    assert empty.note == "Answers of the last 60 seconds may not be written yet (monitor.keep.seconds_per_file)."
    put(tmp_path, 400, timedelta(minutes=1))
    assert look_at_traffic(tmp_path, params_with(), VERSION, TODAY).note == ""
    note = look_at_traffic(tmp_path, params_with(), other, TODAY).note
    assert note == f"{empty.note} Texts that others answered in this time: version 3 (400)."


def test_a_revoked_key_goes_by_its_name(tmp_path: Path) -> None:
    create_key(tmp_path, "robot", ["predict"])
    put(tmp_path, 5, timedelta(minutes=1), key=revoke_key(tmp_path, "robot").id)
    assert look_at_traffic(tmp_path, params_with(), VERSION, TODAY).named("flood").key == "robot"


def test_a_flood_that_leaves_no_room_for_other_rows_is_found(tmp_path: Path) -> None:
    for hours in (3, 2, 1):
        put(tmp_path, 2, timedelta(hours=hours))
    put(tmp_path, 400, timedelta(minutes=1))
    params = params_with("monitor", max_rows=200, misuse={"flood_texts": 300})
    in_tokyo = TODAY.astimezone(timezone(timedelta(hours=9)))  # as a night there gives it
    seen = look_at_traffic(tmp_path, params, VERSION, in_tokyo)
    assert seen.until.tzinfo is UTC
    assert (seen.rows, seen.since) == (400, TODAY - timedelta(minutes=1))
    flood = seen.named("flood")
    assert (flood.status, flood.key, flood.rows, flood.value) == ("found", "k", 406, 400)
    assert seen.named("accuracy").status == "insufficient"


def test_a_damaged_reference_is_a_reason_and_not_an_end(tmp_path: Path) -> None:
    params = params_with()
    name = f"{VERSION.digest[:16]}-{params.drift.max_rows}-{params.drift.seed}-{KEPT_AS}"
    folder = tmp_path / "data" / "scratch" / "monitor" / name
    folder.mkdir(parents=True)
    (folder / TRAINING_FILE).write_bytes(b"")
    (folder / TESTED_FILE).write_text("null")
    reference = find_reference(tmp_path, params, VERSION)
    assert reference.labels is None and "found it damaged; remove it" in reference.absence


def test_test_rows_without_a_label_are_counted_apart(tmp_path: Path) -> None:
    rows = pd.DataFrame({"label": ["a", "a", "b", "b"], "predicted": ["a", "b", "b", "b"], "confidence": 0.8})
    rows["score.a"], rows["score.b"], rows["reason"] = 0.2, 0.8, [None, None, None, "unlike every class"]
    rows.to_parquet(tmp_path / "predictions.parquet")
    summary = summarise_predictions(tmp_path / "predictions.parquet")
    assert summary is not None and (summary["accuracy"], summary["refused"]) == (pytest.approx(2 / 3), 1)
    assert len(summary["margins"]) == 4  # type: ignore[arg-type]
