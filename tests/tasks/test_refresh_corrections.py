"""Corrections of the model's answers become gold rows; those that contradict what is known are set aside."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.labelling import intake
from tests.support import night_project as project
from tests.support.refreshing import run_without_flow, take_in_corrections
from tests.support.serving import running, start_service


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with run_without_flow(monkeypatch):
        yield


def test_corrections_become_gold_and_conflicts_are_set_aside(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    rows = [
        ("please help me", "delivery", 3),  # a row of the pool
        ("an answer that was wrong", "refund", 3),
        ("my refund is late", "refund", 2),  # agrees with gold
        ("where is my money", "delivery", 2),  # contradicts it
        ("told twice", "refund", 3), ("told twice", "delivery", 3),
        ("what a service", "praise", 3),
        ("from nowhere", "refund", 9),
        ("no refund so far", "delivery", 3),
        ("without a label", None, 3),
    ]  # fmt: skip
    project.drop_file(root, "week.csv", project.to_csv(rows, "text", "label", "version"), "feedback")
    loose = [("nobody knows which version said so", "refund"), ("give me my money", "refund")]
    project.drop_file(root, "loose.csv", project.to_csv(loose, "text", "label"), "feedback")
    corrections = take_in_corrections(root, "2", "3")
    assert (corrections.counts.new, corrections.counts.labelled, corrections.counts.known) == (4, 4, 1)
    assert "2 without the version that answered" in corrections.counts.line("corrections")
    assert corrections.counts.set_aside == {
        intake.GOLD_DIFFERS: 1, intake.CONTRADICTED: 2, intake.UNKNOWN_LABEL: 1, intake.UNKNOWN_VERSION: 1,
        intake.HELD_OUT: 1, intake.NO_LABEL: 1,
    }  # fmt: skip
    assert corrections.rows["version"].fillna("").tolist() == ["", "", "3", "3", "2"]
    file = root / "arrivals" / "2026-11-24T02-00-00-feedback.parquet"
    assert pd.read_parquet(file)["version"].fillna("").tolist() == ["", "", "3", "3"]
    project.run_ingest(root)
    gold = project.ingest_table(root, "train").set_index("text")
    assert gold.loc["please help me", "label"] == "delivery"
    assert set(gold["origin"]) == {"gold"}
    assert "please help me" not in set(project.ingest_table(root, "unlabelled")["text"])


def test_a_correction_over_http_is_gold_in_the_next_night(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    service = start_service(root, project.project_params(root))
    with running(service, "admin") as client:
        (answer,) = client.post("/v1/predict", json={"texts": ["please, my parcel, call ada@example.org"]}).json()[
            "predictions"
        ]
        assert answer["label"] == "delivery"
        for body in ({"id": answer["id"]}, {"text": 'one "line",\nand another', "version": "2"}):
            assert client.post("/v1/feedback", json={"label": "refund", **body}).status_code == 200
    corrections = take_in_corrections(root, "2", "3")
    assert corrections.counts.new == 2 and corrections.counts.set_aside == {}
    assert sorted(corrections.rows["version"]) == ["2", "3"]
    project.run_ingest(root)
    gold = project.ingest_table(root, "train").set_index("text")["label"]
    assert gold["please, my parcel, call [EMAIL]"] == "refund"
    assert list(service.settings.root.glob("inbox/feedback/*.jsonl")) == []


def test_corrections_may_come_from_a_query_and_errors_name_the_keys_of_feedback(tmp_path: Path) -> None:
    root = project.make_project(
        tmp_path, feedback={"url": "sqlite:///f.db", "query": "SELECT * FROM wrong", "path": None}
    )
    with pytest.raises(UserError, match="feedback.url: expected a SQLite file"):
        take_in_corrections(root, "1")
    with closing(sqlite3.connect(root / "f.db")) as base, base:
        base.execute("CREATE TABLE other (text TEXT)")
    with pytest.raises(UserError, match="feedback.query: expected a query that runs, found no such table"):
        take_in_corrections(root, "1")
    with closing(sqlite3.connect(root / "f.db")) as base, base:
        base.execute("CREATE TABLE wrong (text TEXT, label TEXT, version INT)")
        base.execute("INSERT INTO wrong VALUES ('a new one', 'refund', 1)")
    assert (take_in_corrections(root, "1").counts.new, take_in_corrections(root, "1").counts.known) == (1, 1)
