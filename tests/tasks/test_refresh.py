"""New texts are taken in once and versioned, and the test split does not change."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.labelling import intake
from pipeline.sources import arrival_files
from tasks.refresh import IntakeCounts
from tests.support import night_project as project
from tests.support.refreshing import NEW, run_without_flow, take_in_texts

LABEL_RULES = {"rename": {}, "drop": [], "missing": [], "keep": [], "descriptions": {}}


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with run_without_flow(monkeypatch):
        yield


def test_new_rows_become_one_immutable_file_that_dvc_and_git_know(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    known = [("my  refund is late ", "refund"), ("please help me", None)]
    project.drop_file(root, "monday.csv", project.to_csv([*NEW, *known, NEW[0]], "text", "label"))
    counts = take_in_texts(root)
    assert (counts.files, counts.new, counts.labelled, counts.known) == (1, 3, 2, 3)
    file = root / "arrivals" / "2026-11-24T02-00-00.parquet"
    assert pd.read_parquet(file)["text"].tolist()[:3] == [text for text, _ in NEW]
    assert file.with_name(file.name + ".dvc").exists()
    assert "Arrivals: 2026-11-24T02-00-00.parquet" in project.git(root, "log", "--format=%s")
    assert not project.git(root, "status", "--porcelain")
    assert [path.name for path in (root / "inbox" / "texts" / "taken").iterdir()] == ["2026-11-24T02-00-00-monday.csv"]
    assert take_in_texts(root, days=1) == IntakeCounts()
    assert list((root / "arrivals").glob("*.parquet")) == [file]


def test_ingest_reads_arrivals_beside_its_path_and_the_test_split_stays(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    before = project.ingest_table(root, "test")
    near = project.TEST[1][0] + "."
    project.drop_file(root, "a.csv", project.to_csv([*NEW, (near, "refund")], "text", "label"))
    assert take_in_texts(root).new == 4
    project.run_ingest(root)
    pd.testing.assert_frame_equal(project.ingest_table(root, "test"), before)
    assert {text for text, label in NEW if label} < set(project.ingest_table(root, "train")["text"])
    assert NEW[2][0] in set(project.ingest_table(root, "unlabelled")["text"])
    rejected = project.ingest_table(root, "rejected")
    assert rejected["reason"].tolist() == ["duplicates a test row"]
    assert rejected["file"].tolist() == ["2026-11-24T02-00-00.parquet"]


def test_labels_that_arrive_take_the_spelling_of_the_source(tmp_path: Path) -> None:
    gold = [("my refund is late", "1.0"), ("where is my money", "1.0"), ("the parcel is lost", "0.0")]
    root = project.make_project(tmp_path, gold, ingest={"labels": LABEL_RULES | {"missing": ["nan"]}})
    labels = ["1", "1.0", "0\u200b", '["0"]', "nan", "[]", "2", '["0", "1"]']
    rows = [(f"text number {i} that is new", label) for i, label in enumerate(labels)]
    project.drop_file(root, "a.csv", project.to_csv(rows, "text", "label"))
    counts = take_in_texts(root)
    assert (counts.new, counts.labelled, counts.rows) == (6, 4, 8)
    assert counts.set_aside == {"several labels in one cell": 1, "unknown label": 1}
    assert "2 of 8 rows set aside: 1 several labels in one cell, 1 unknown label; in a.csv" in counts.line("texts")
    project.run_ingest(root)
    train = project.ingest_table(root, "train").set_index("text")["label"]
    assert train[[text for text, _ in rows[:4]]].tolist() == ["1.0", "1.0", "0.0", "0.0"]
    assert {text for text, _ in rows[4:6]} < set(project.ingest_table(root, "unlabelled")["text"])


def test_a_label_for_a_row_of_the_pool_is_new(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    project.drop_file(root, "a.csv", project.to_csv([(project.POOL[0], "refund")], "text", "label"))
    assert take_in_texts(root).labelled == 1
    project.run_ingest(root)
    gold = project.ingest_table(root, "train").set_index("text")
    row = gold.loc[[project.POOL[0]]]
    assert (row["label"].tolist(), row["origin"].tolist()) == (["refund"], ["gold"])
    assert project.POOL[0] not in set(project.ingest_table(root, "unlabelled")["text"])


def test_a_drawn_test_split_does_not_move_when_rows_arrive(tmp_path: Path) -> None:
    rng = Random(0)
    texts = [" ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(8)) for _ in range(30)]
    rows = [(text, ("refund", "delivery")[i % 2]) for i, text in enumerate(texts)]
    # Each is a near duplicate of two unrelated rows, and joins them into one group.
    bridges = [(f"{texts[i]} {texts[i + 2]}", rows[i][1]) for i in range(0, 28, 4)]
    drawn = {"validation": 0.0, "test": 0.4, "stratify": True}
    loose = {"threshold": 0.4, "shingle": 5, "permutations": 64}
    root = project.make_project(
        tmp_path, ingest={"path": "raw", "test": [], "split": drawn, "duplicates": loose}, gold=rows
    )
    before = project.ingest_table(root, "test")
    project.drop_file(root, "a.csv", project.to_csv(bridges, "text", "label"))
    assert take_in_texts(root).new == 7
    project.run_ingest(root)
    pd.testing.assert_frame_equal(
        project.ingest_table(root, "test").drop(columns="source_id"), before.drop(columns="source_id")
    )
    assert "duplicates a test row" in set(project.ingest_table(root, "rejected")["reason"])


def test_unusable_rows_and_files_are_set_aside_with_the_reason(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    bad = [
        ("my refund is late", "delivery"),  # the gold row says refund
        ("no refund so far", "delivery"),  # a test row
        ("a new thing", "complaint"),  # no such label
        ("twice told", "refund"), ("twice told", "delivery"), ("=cmd()", "complaint"), ("   ", "refund"),
    ]  # fmt: skip
    project.drop_file(root, "bad.csv", project.to_csv([*bad, NEW[0]], "text", "label"))
    project.drop_file(root, "broken.parquet", b"no parquet")
    project.drop_file(root, "odd.csv", "body,label\nhello,refund\n")
    project.drop_file(root, "pool.txt", "a line")
    counts = take_in_texts(root)
    assert (counts.files, counts.unreadable, counts.new) == (4, 3, 1)
    assert counts.set_aside == {
        intake.GOLD_DIFFERS: 1, intake.HELD_OUT: 1, intake.UNKNOWN_LABEL: 2, intake.CONTRADICTED: 2,
        "empty text": 1,
    }  # fmt: skip
    aside = root / "inbox" / "texts" / "set-aside"
    shown = pd.concat([pd.read_csv(path) for path in aside.glob("rows-*.csv")])
    assert len(shown) == 7 and "'=cmd()" in set(shown["text"])
    reasons = {path.name: path.read_text() for path in aside.glob("*.reason.txt")}
    assert "expected a whole Parquet file" in reasons["broken.parquet.reason.txt"]
    assert "missing text" in reasons["odd.csv.reason.txt"]
    assert not [path for path in (root / "inbox" / "texts").iterdir() if path.is_file()]


def test_only_the_dvc_pointer_of_arrivals_is_committed(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    (root / "mine.txt").write_text("not ready")
    project.git(root, "add", "mine.txt")
    project.drop_file(root, "a.csv", project.to_csv(NEW, "text", "label"))
    take_in_texts(root)
    assert project.git(root, "show", "--stat", "--format=").count("|") == 1
    assert project.git(root, "status", "--porcelain") == "A  mine.txt\n"


def test_a_missing_inbox_is_reported_by_its_key(tmp_path: Path) -> None:
    root = project.make_project(tmp_path, refresh={"inbox": "mnt/none", "commit": False})
    with pytest.raises(UserError, match="refresh.inbox: expected a file or folder, found no mnt/none"):
        take_in_texts(root)


def test_new_rows_of_a_database_are_taken_in_once(tmp_path: Path) -> None:
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
    root = project.make_project(
        root, ingest={"path": "t.db", "url": "sqlite:///t.db", **asked}, refresh={"inbox": None}
    )
    assert take_in_texts(root).new == 0
    with closing(sqlite3.connect(root / "t.db")) as base, base:
        base.executemany("INSERT INTO t VALUES (?, ?, 'train')", NEW)
    assert (take_in_texts(root, days=1).new, take_in_texts(root, days=2).new) == (3, 0)
    project.run_ingest(root)
    assert len(project.ingest_table(root, "train")) == 5
    assert set(project.ingest_table(root, "rejected")["reason"]) == {"exact duplicate"}
    with closing(sqlite3.connect(root / "t.db")) as base, base:  # a corrected label in the source replaces the old one
        base.execute("UPDATE t SET label = 'refund' WHERE text = ?", [NEW[0][0]])
    project.run_ingest(root)
    assert project.ingest_table(root, "train").set_index("text").loc[NEW[0][0], "label"] == "refund"


def test_later_arrivals_have_a_later_file_name_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    root = project.make_project(tmp_path)
    for day, text in ((0, "one"), (-3, "two"), (0, "three")):
        project.drop_file(root, "a.csv", project.to_csv([(text, "refund")], "text", "label"))
        take_in_texts(root, days=day)
    texts = [pd.read_parquet(path).loc[0, "text"] for path in arrival_files.list_files(root / "arrivals")]
    assert texts == ["one", "two", "three"]
