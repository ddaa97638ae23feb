"""New data comes in once, is versioned, and survives a kill between any two steps; the test split stays as it was."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from prefect.logging import disable_run_logger
from prefect.states import State

from pipeline.core.errors import UserError
from pipeline.labelling import arrivals
from pipeline.sources import arrived
from tasks import inbox
from tasks import refresh as tasks
from tasks.refresh import IntakeCounts
from tests.support import night_project as project

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
NEW = [("the box came today", "delivery"), ("give me my cash", "refund"), ("no idea what this is", None)]


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import sys

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setattr(inbox, "SETTLING", 0.0)  # what the tests drop is whole
    with disable_run_logger():
        yield


def refresh(root: Path, days: float = 0) -> IntakeCounts:
    found: IntakeCounts = handed(tasks.refresh.fn(root, project.params(root), NIGHT + timedelta(days=days)))
    return found


def feedback(root: Path, *versions: str) -> tasks.Corrections:
    found: tasks.Corrections = handed(tasks.feedback.fn(root, project.params(root), NIGHT, set(versions)))
    return found


def handed(found: Any) -> Any:
    """What a task returned; the mistake that it told of is raised, as Prefect does it."""
    if isinstance(found, State):
        mistake: Any = found.data
        raise mistake
    return found


def test_new_rows_become_one_immutable_file_that_dvc_and_git_know(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    known = [("my  refund is late ", "refund"), ("please help me", None)]
    project.drop(root, "monday.csv", project.csv([*NEW, *known, NEW[0]], "text", "label"))
    taken = refresh(root)
    assert (taken.files, taken.new, taken.labelled, taken.known) == (1, 3, 2, 3)
    file = root / "arrivals" / "2026-11-24T02-00-00.parquet"
    assert pd.read_parquet(file)["text"].tolist()[:3] == [text for text, _ in NEW]
    assert file.with_name(file.name + ".dvc").exists()
    assert "Arrivals: 2026-11-24T02-00-00.parquet" in project.git(root, "log", "--format=%s")
    assert not project.git(root, "status", "--porcelain")
    assert [path.name for path in (root / "inbox" / "texts" / "taken").iterdir()] == ["2026-11-24T02-00-00-monday.csv"]
    assert refresh(root, days=1) == IntakeCounts()
    assert list((root / "arrivals").glob("*.parquet")) == [file]


def test_ingest_reads_arrivals_beside_its_path_and_the_test_split_stays(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    before = project.table(root, "test")
    near = project.TEST[1][0] + "."
    project.drop(root, "a.csv", project.csv([*NEW, (near, "refund")], "text", "label"))
    assert refresh(root).new == 4
    project.again(root)
    pd.testing.assert_frame_equal(project.table(root, "test"), before)
    assert {text for text, label in NEW if label} < set(project.table(root, "train")["text"])
    assert NEW[2][0] in set(project.table(root, "unlabelled")["text"])
    rejected = project.table(root, "rejected")
    assert rejected["reason"].tolist() == ["duplicates a test row"]
    assert rejected["file"].tolist() == ["2026-11-24T02-00-00.parquet"]


def test_a_label_for_a_row_of_the_pool_is_new(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    project.drop(root, "a.csv", project.csv([(project.POOL[0], "refund")], "text", "label"))
    assert refresh(root).labelled == 1
    project.again(root)
    gold = project.table(root, "train").set_index("text")
    row = gold.loc[[project.POOL[0]]]
    assert (row["label"].tolist(), row["origin"].tolist()) == (["refund"], ["gold"])
    assert project.POOL[0] not in set(project.table(root, "unlabelled")["text"])


def test_a_drawn_test_split_does_not_move_when_rows_arrive(tmp_path: Path) -> None:
    rng = Random(0)
    texts = [" ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(8)) for _ in range(30)]
    rows = [(text, ("refund", "delivery")[i % 2]) for i, text in enumerate(texts)]
    # each is a near duplicate of two rows that were apart, which makes one group of those
    bridges = [(f"{texts[i]} {texts[i + 2]}", rows[i][1]) for i in range(0, 28, 4)]
    drawn = {"validation": 0.0, "test": 0.4, "stratify": True}
    loose = {"threshold": 0.4, "shingle": 5, "permutations": 64}
    root = project.make(tmp_path, ingest={"path": "raw", "test": [], "split": drawn, "duplicates": loose}, gold=rows)
    before = project.table(root, "test")
    project.drop(root, "a.csv", project.csv(bridges, "text", "label"))
    assert refresh(root).new == 7
    project.again(root)
    pd.testing.assert_frame_equal(
        project.table(root, "test").drop(columns="source_id"), before.drop(columns="source_id")
    )
    assert "duplicates a test row" in set(project.table(root, "rejected")["reason"])


def test_what_cannot_be_used_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    bad = [
        ("my refund is late", "delivery"),  # the gold row says refund
        ("no refund so far", "delivery"),  # a test row
        ("a new thing", "complaint"),  # no such label
        ("twice told", "refund"), ("twice told", "delivery"), ("=cmd()", "complaint"), ("   ", "refund"),
    ]  # fmt: skip
    project.drop(root, "bad.csv", project.csv([*bad, NEW[0]], "text", "label"))
    project.drop(root, "broken.parquet", b"no parquet")
    project.drop(root, "odd.csv", "body,label\nhello,refund\n")
    project.drop(root, "pool.txt", "a line")
    taken = refresh(root)
    assert (taken.files, taken.unreadable, taken.new) == (4, 3, 1)
    assert taken.aside == {
        arrivals.GOLD_DIFFERS: 1, arrivals.HELD_OUT: 1, arrivals.UNKNOWN_LABEL: 2, arrivals.CONTRADICTED: 2,
        "empty text": 1,
    }  # fmt: skip
    aside = root / "inbox" / "texts" / "set-aside"
    shown = pd.concat([pd.read_csv(path) for path in aside.glob("rows-*.csv")])
    assert len(shown) == 7 and "'=cmd()" in set(shown["text"])
    reasons = {path.name: path.read_text() for path in aside.glob("*.reason.txt")}
    assert "expected a whole Parquet file" in reasons["broken.parquet.reason.txt"]
    assert "missing text" in reasons["odd.csv.reason.txt"]
    assert not [path for path in (root / "inbox" / "texts").iterdir() if path.is_file()]


class Killed(BaseException):
    """Stands for kill -9 in the middle of a task: nothing after it runs."""


STEPS = ["write_aside", "arrived.write", "adopt", "commit", "clear", "move"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_any_two_steps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    root = project.make(tmp_path)
    project.drop(root, "a.csv", project.csv([*NEW, ("bad", "complaint")], "text", "label"))
    project.drop(root, "b.csv", project.csv([("another one", "refund")], "text", "label"))
    home: Any = {"arrived.write": arrived, "move": inbox}.get(step, tasks)
    name = step.removeprefix("arrived.")
    real = getattr(home, name)
    calls = []

    def dies(*given: object, **named: object) -> object:
        calls.append(1)
        if step == "adopt" and len(calls) == 1:  # the first call finds nothing to do
            return real(*given, **named)
        if when == "after":
            real(*given, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(home, name, dies)
        with pytest.raises(Killed):
            refresh(root)
    refresh(root, days=1)
    rows = pd.concat([pd.read_parquet(path) for path in (root / "arrivals").glob("*.parquet")])
    assert sorted(rows["text"]) == sorted([*(text for text, _ in NEW), "another one"])
    assert all(path.with_name(path.name + ".dvc").exists() for path in (root / "arrivals").glob("*.parquet"))
    assert not project.git(root, "status", "--porcelain")
    assert len(list((root / "inbox" / "texts" / "set-aside").glob("rows-*.csv"))) == 1
    assert sorted(path.name[20:] for path in (root / "inbox" / "texts" / "taken").iterdir()) == ["a.csv", "b.csv"]
    assert refresh(root, days=2) == IntakeCounts()


def test_only_the_pointer_of_what_arrived_is_committed(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    (root / "mine.txt").write_text("not ready")
    project.git(root, "add", "mine.txt")
    project.drop(root, "a.csv", project.csv(NEW, "text", "label"))
    refresh(root)
    assert project.git(root, "show", "--stat", "--format=").count("|") == 1
    assert project.git(root, "status", "--porcelain") == "A  mine.txt\n"


def test_a_missing_inbox_is_told(tmp_path: Path) -> None:
    root = project.make(tmp_path, refresh={"inbox": "mnt/none", "commit": False})
    with pytest.raises(UserError, match="refresh.inbox: expected a file or folder, found no mnt/none"):
        refresh(root)


def test_a_database_is_asked_again_for_rows_not_seen_before(tmp_path: Path) -> None:
    root = tmp_path
    (root / "raw").mkdir(parents=True)
    with closing(sqlite3.connect(root / "raw" / "t.db")) as base, base:
        base.execute("CREATE TABLE t (text TEXT, label TEXT, part TEXT)")
        base.executemany("INSERT INTO t VALUES (?, ?, 'train')", project.GOLD)
        base.executemany("INSERT INTO t VALUES (?, ?, 'test')", project.TEST)
    (root / "raw" / "t.db").rename(root / "t.db")
    (root / "raw").rmdir()
    query = "SELECT text, label FROM t WHERE part = '{}'"
    asked = {"train": [query.format("train")], "test": [query.format("test")], "unlabelled": [], "source": "sql"}
    root = project.make(root, ingest={"path": "t.db", "url": "sqlite:///t.db", **asked}, refresh={"inbox": None})
    assert refresh(root).new == 0
    with closing(sqlite3.connect(root / "t.db")) as base, base:
        base.executemany("INSERT INTO t VALUES (?, ?, 'train')", NEW)
    assert (refresh(root, days=1).new, refresh(root, days=2).new) == (3, 0)
    project.again(root)
    assert len(project.table(root, "train")) == 5
    assert set(project.table(root, "rejected")["reason"]) == {"exact duplicate"}
    with closing(sqlite3.connect(root / "t.db")) as base, base:  # somebody corrects a label: the source decides
        base.execute("UPDATE t SET label = 'refund' WHERE text = ?", [NEW[0][0]])
    project.again(root)
    assert project.table(root, "train").set_index("text").loc[NEW[0][0], "label"] == "refund"


def test_corrections_become_gold_and_conflicts_are_set_aside(tmp_path: Path) -> None:
    root = project.make(tmp_path)
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
    project.drop(root, "week.csv", project.csv(rows, "text", "label", "version"), "feedback")
    found = feedback(root, "2", "3")
    assert (found.taken.new, found.taken.labelled, found.taken.known) == (2, 2, 1)
    assert found.taken.aside == {
        arrivals.GOLD_DIFFERS: 1, arrivals.CONTRADICTED: 2, arrivals.UNKNOWN_LABEL: 1, arrivals.UNKNOWN_VERSION: 1,
        arrivals.HELD_OUT: 1, arrivals.NO_LABEL: 1,
    }  # fmt: skip
    assert found.rows["version"].tolist() == ["3", "3", "2"]
    file = root / "arrivals" / "2026-11-24T02-00-00-feedback.parquet"
    assert pd.read_parquet(file)["version"].tolist() == ["3", "3"]
    project.again(root)
    gold = project.table(root, "train").set_index("text")
    assert gold.loc["please help me", "label"] == "delivery"
    assert set(gold["origin"]) == {"gold"}
    assert "please help me" not in set(project.table(root, "unlabelled")["text"])


def test_corrections_may_be_a_table_and_its_faults_bear_its_own_keys(tmp_path: Path) -> None:
    root = project.make(tmp_path, feedback={"url": "sqlite:///f.db", "query": "SELECT * FROM wrong", "path": None})
    with pytest.raises(UserError, match="feedback.url: expected a SQLite file"):
        feedback(root, "1")
    with closing(sqlite3.connect(root / "f.db")) as base, base:
        base.execute("CREATE TABLE other (text TEXT)")
    with pytest.raises(UserError, match="feedback.query: expected a query that runs, found no such table"):
        feedback(root, "1")
    with closing(sqlite3.connect(root / "f.db")) as base, base:
        base.execute("CREATE TABLE wrong (text TEXT, label TEXT, version INT)")
        base.execute("INSERT INTO wrong VALUES ('a new one', 'refund', 1)")
    assert (feedback(root, "1").taken.new, feedback(root, "1").taken.known) == (1, 1)


def test_what_arrives_later_has_a_later_name_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    for day, text in ((0, "one"), (-3, "two"), (0, "three")):
        project.drop(root, "a.csv", project.csv([(text, "refund")], "text", "label"))
        refresh(root, days=day)
    texts = [pd.read_parquet(path).loc[0, "text"] for path in arrived.files(root / "arrivals")]
    assert texts == ["one", "two", "three"]
    middle = arrived.files(root / "arrivals")[1].name
    assert arrivals.since(middle, project.params(root).ingest, root)["text"].tolist() == ["three"]
    assert arrivals.latest(project.params(root).ingest, root) == arrived.files(root / "arrivals")[2].name
