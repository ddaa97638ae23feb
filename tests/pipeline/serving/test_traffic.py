"""What the service keeps of what passes through it: numbers, ids and labels in whole files, and no text."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.policies.monitoring.traffic import NO_LABEL
from pipeline.serving import metrics, traffic_files
from pipeline.serving.keys import keys_file, read_keys
from pipeline.serving.text_numbers import find_secret, number_texts
from pipeline.serving.traffic_files import ANSWERS, FEEDBACK, AnsweredTexts
from pipeline.serving.traffic_log import TrafficLog
from pipeline.serving.traffic_reader import files_between, read_minutes, read_tables, to_traffic
from tests.support import canary
from tests.support.serving import params_with, running, start_service

NOW = datetime.now(UTC)


def read(root: Path, kind: str) -> list[pa.Table]:
    """All that is kept of a kind; nothing is damaged."""
    tables, damaged = read_tables(root / "data" / "traffic", kind, NOW - timedelta(days=2), NOW + timedelta(days=1))
    assert damaged == 0
    return tables


def answered(
    number: int, width: int = 2, digest: str = "d", rows: int = 1, labels: list[str | None] | None = None
) -> AnsweredTexts:
    """The answers to a request, with the number in the ids."""
    at, ids = NOW + timedelta(milliseconds=number), [f"{number}-{row}" for row in range(rows)]
    confidences, margins = np.full(rows, 0.75, np.float32), np.full(rows, 0.5, np.float32)
    vectors = np.ones((rows, width), np.float16)
    return AnsweredTexts(
        at, "k", "3", digest, 1.5, ids, labels or ["refund"] * rows, confidences, margins, vectors, [*range(rows)]
    )


def test_every_answer_is_kept_as_numbers_and_no_text_is(tmp_path: Path) -> None:
    service = start_service(tmp_path, params_with())
    with running(service, "admin") as client:
        texts = ["vireotraffic parcel", "vireotraffic money please", "vireotraffic money please"]
        asked = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
        client.post("/invocations", json={"instances": ["parcel"]})
        (explained,) = client.post("/v1/explain", json={"texts": ["money"]}).json()["explanations"]
        given = client.post("/v1/feedback", json={"id": asked[0]["id"], "label": "refund"})
        assert given.status_code == 200
        client.post("/v1/feedback", json={"text": "vireotraffic", "label": "refund"})
    (path,) = (tmp_path / "data" / "traffic").glob("*/answers-*.parquet")
    rows = pq.read_table(path).to_pylist()
    assert [row["id"] for row in rows[:3]] == [one["id"] for one in asked]
    assert [row["label"] for row in rows] == ["delivery", "refund", "refund", "delivery", "refund"]
    assert [row["confidence"] for row in rows[:3]] == pytest.approx([one["confidence"] for one in asked])
    assert rows[0]["margin"] == pytest.approx(2 * rows[0]["confidence"] - 1, abs=1e-6)
    assert rows[4]["id"] == explained["id"]
    (key,) = read_keys(keys_file(tmp_path))
    assert {row["key"] for row in rows} == {key.id} and {row["version"] for row in rows} == {"3"}
    assert {row["digest"] for row in rows} == {service.handover.served.digest}  # type: ignore[union-attr]
    assert all(0 < row["latency_ms"] < 60_000 and row["time"] >= NOW for row in rows)
    traffic = to_traffic(read(tmp_path, ANSWERS))
    classifier = service.current.classifier  # type: ignore[union-attr]
    assert traffic.vectors is not None
    assert traffic.vectors[:3] == pytest.approx(classifier.vectors(texts), abs=1e-3)
    assert traffic.distinct.ids.tolist() == traffic.ids[[0, 1, 3, 4]].tolist()
    (feedback,) = read(tmp_path, FEEDBACK)
    assert [(row["id"], row["label"]) for row in feedback.to_pylist()] == [(asked[0]["id"], "refund")]
    found = canary.find_words(["vireotraffic"], [path for path in tmp_path.rglob("*") if path.is_file()])
    assert all("/inbox/feedback/" in path for path in found["vireotraffic"])


@pytest.mark.parametrize(("changes", "files"), [({"path": None}, 0), ({"keep": {"vectors": False}}, 1)])
def test_vectors_or_everything_can_be_left_out(tmp_path: Path, changes: dict[str, Any], files: int) -> None:
    service = start_service(tmp_path, params_with("monitor", **changes))
    with running(service, "predict") as client:
        assert client.post("/v1/predict", json={"texts": ["parcel"]}).status_code == 200
    tables = read(tmp_path, ANSWERS)
    assert len(tables) == files and not any("vector" in table.column_names for table in tables)
    assert service.current.classifier.columns == 2  # type: ignore[union-attr]


def test_files_are_written_by_rows_and_by_time_and_a_version_each(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "traffic"
    log = TrafficLog(folder, params_with("monitor", keep={"rows_per_file": 4, "seconds_per_file": 3600}).monitor)
    log.start()
    for number in range(4):
        log.add(answered(number, digest="de"[number % 2], width=2 + number % 2))
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while len(list(folder.rglob("answers-*.parquet"))) < 2:
        assert datetime.now(UTC) < deadline
    log.add(answered(9, labels=[None]))
    log.stop()
    traffic = to_traffic([table for table in read(tmp_path, ANSWERS) if table["digest"][0].as_py() == "d"])
    assert traffic.ids.tolist() == ["0-0", "2-0", "9-0"] and traffic.labels.tolist() == ["refund", "refund", NO_LABEL]
    assert traffic.abstained.tolist() == [False, False, True]


def test_a_disk_that_takes_nothing_costs_rows_and_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "traffic").write_text("a file where a folder should be")
    before = metrics.TRAFFIC_LOST._value.get()
    service = start_service(tmp_path, params_with())
    with running(service, "predict") as client:
        assert client.post("/v1/predict", json={"texts": ["parcel", "money"]}).status_code == 200
        service.traffic.write()
        assert client.post("/v1/predict", json={"texts": ["parcel"]}).status_code == 200
    assert metrics.TRAFFIC_LOST._value.get() - before == 3
    assert capsys.readouterr().err.count("traffic is not kept") == 1


def test_rows_that_the_disk_is_too_slow_for_are_lost_and_counted(tmp_path: Path) -> None:
    before = metrics.TRAFFIC_LOST._value.get()
    log = TrafficLog(tmp_path, params_with("monitor", keep={"rows_per_file": 10}).monitor)
    for number in range(7):
        log.add(answered(number, rows=10))
    assert (log.rows, metrics.TRAFFIC_LOST._value.get() - before) == (40, 30)


def test_what_is_too_old_or_too_much_is_removed_oldest_first(tmp_path: Path) -> None:
    def put(day: str, name: str, days_old: float, size: int) -> Path:
        path = tmp_path / day / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, times=(NOW.timestamp() - 86_400 * days_old,) * 2)
        return path

    old = put("2020-01-01", "answers-1.parquet", 20, 10)
    first = put("2020-02-01", "answers-1.parquet", 3, 700_000)
    second = put("2020-02-02", "answers-1.parquet", 2, 700_000)
    part = put("2020-02-02", ".answers-2.parquet.part", 1, 10)
    other, mine = tmp_path / "notes.txt", put("2020-01-03", "notes.parquet", 20, 10)
    other.write_text("mine")
    (tmp_path / "2020-01-01" / "folder").mkdir()
    assert traffic_files.remove_old(tmp_path, days=14, megabytes=1) == 3
    assert [path.exists() for path in (old, first, part, second, other)] == [False, False, False, True, True]
    assert mine.exists() and old.parent.exists() and not first.parent.exists()


def test_of_too_many_rows_the_newest_files_are_read(tmp_path: Path) -> None:
    for number in range(3):
        traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(number, rows=2)]))
    since, until = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    for most, ids in ((3, ["1-0", "1-1", "2-0", "2-1"]), (2, ["2-0", "2-1"]), (None, None)):
        tables, _ = read_tables(tmp_path, ANSWERS, since, until, most)
        assert len(to_traffic(tables)) == 6 if ids is None else to_traffic(tables).ids.tolist() == ids


def test_a_damaged_file_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    path = traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(1, rows=3)]))
    (path.parent / "answers-2.parquet").write_bytes(path.read_bytes()[:-20])
    pq.write_table(pa.table({"other": [1]}), path.parent / "answers-3.parquet")
    of_another = pq.read_table(path).drop_columns(["margin"])
    pq.write_table(of_another, path.parent / "answers-4.parquet")
    tables, damaged = read_tables(tmp_path, ANSWERS, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert (len(to_traffic(tables)), damaged) == (3, 3)
    assert read_tables(tmp_path, ANSWERS, NOW - timedelta(hours=1), NOW)[0] == []


def test_files_of_an_earlier_gleaner_have_no_text_numbers_and_count_without_vectors(tmp_path: Path) -> None:
    path = traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(1, rows=3)]))
    pq.write_table(pq.read_table(path).drop_columns(["text_number"]), path)
    traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(2)]))
    tables, damaged = read_tables(tmp_path, ANSWERS, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    traffic = to_traffic(tables)
    assert (len(traffic), len(traffic.distinct), traffic.vectors, damaged) == (4, 4, None, 0)


def test_minutes_are_counted_over_all_files_by_key_and_version(tmp_path: Path) -> None:
    for number in (0, 1, 61_000):
        traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(number, rows=2)]))
    traffic_files.write_table(tmp_path, ANSWERS, traffic_files.answers_table([answered(5, digest="e")]))
    (tmp_path / f"{NOW:%Y-%m-%d}" / "answers-2.parquet").write_bytes(b"damaged")
    counts, damaged = read_minutes(tmp_path, "d", NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert list(counts) == ["k"] and counts["k"].total() == 6 and len(counts["k"]) in (2, 3) and damaged == 1


def test_all_workers_of_a_folder_number_texts_alike_and_no_other_folder_does(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(find_secret, [tmp_path / "a"] * 8))
    (secret,) = secrets
    assert find_secret(tmp_path / "a") == secret != find_secret(tmp_path / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["secret"]
    assert (tmp_path / "a" / "secret").stat().st_mode & 0o077 == 0
    first, again, other, odd = number_texts(["money", "money", "parcel", "\ud800"], secret)
    assert first == again and len({first, other, odd}) == 3
    assert number_texts(["money"], find_secret(tmp_path / "b")) != [first]


@pytest.mark.parametrize("hours", [-10, 0, 14])
def test_a_window_in_any_time_zone_finds_the_folders_of_utc(tmp_path: Path, hours: int) -> None:
    for day in ("2026-11-29", "2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "answers-1.parquet").touch()
    until = datetime(2026, 12, 1, 20, tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    found = [path.parent.name for path in files_between(tmp_path, ANSWERS, until - timedelta(hours=24), until)]
    assert found == ["2026-11-30", "2026-12-01", "2026-12-02"]
