"""Answers to `gleaner suggest` that come back in CSV files or a database become gold rows."""

import sqlite3
from pathlib import Path

import pytest

from pipeline.core import annotation_fields, table
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
TRAIN = "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"


def test_answers_in_csv_need_no_groups_and_no_split_and_lose_their_apostrophes(tmp_path: Path) -> None:
    rows = "text,label,who,part\nwhere is my parcel,where,x,train\nI want to cancel,-1,x,train\nlost,where,x,test\n"
    pool = "=where is it,,a,unlabelled\n'-really,,b,unlabelled\nleft,,b,unlabelled\n"
    ids = [table.row_id("raw", text) for text in ("=where is it", "'-really", "left")]
    back = f"gleaner_id,text,label\n{ids[0]},'=where is it,'-1\n{ids[1]},''-really,where\n{ids[2]},left,\n"
    write(tmp_path, all__csv=rows + pool, answers__csv=back)
    ingest(tmp_path, train=[], test=[], columns={"split": "part", "groups": {"who": "who"}})
    gold = output(tmp_path, "train").set_index("id")
    assert gold.loc[ids[:2], ["text", "label", "group.who"]].to_numpy().tolist() == [
        ["=where is it", "-1", "a"],
        ["'-really", "where", "b"],
    ]
    assert output(tmp_path, "unlabelled")[["text", "group.who"]].to_numpy().tolist() == [["left", "b"]]


def test_answers_do_not_move_the_splits(tmp_path: Path) -> None:
    shares = {"validation": 0.2, "test": 0.2, "stratify": True}
    rows = [(f"{word} {number} times", label) for number in range(20) for word, label in (("go", "x"), ("halt", "y"))]
    pool = [f"unlike any other {number}{number}" for number in range(9)]
    write(tmp_path, train__csv="text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    write(tmp_path, pool__csv="text\n" + "\n".join(pool))
    ingest(tmp_path, test=[], unlabelled=["pool.csv"], split=shares, labels_per_class=4)
    before = {name: output(tmp_path, name)["id"].tolist() for name in ("train", "validation", "test")}
    back = "".join(f"{table.row_id('raw', text)},{text},x\n" for text in pool)
    write(tmp_path, answers__csv="gleaner_id,text,label\n" + back)
    files = ["train.csv", "answers.csv"]
    ingest(tmp_path, train=files, test=[], unlabelled=["pool.csv"], split=shares, labels_per_class=4)
    after = {name: output(tmp_path, name)["id"].tolist() for name in ("train", "validation", "test")}
    assert after["validation"] == before["validation"] and after["test"] == before["test"]
    assert set(before["train"]) < set(after["train"]) and len(after["train"]) == len(before["train"]) + 9


def test_answers_that_contradict_each_other_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where, stop = (
        f"gleaner_id,text,label\n{table.row_id('raw', 'the row')},the row,{label}\n" for label in ("where", "stop")
    )
    write(tmp_path, train__csv=TRAIN, test__csv=TEST, pool__csv="text\nthe row\n", a__csv=where, b__csv=stop)
    ingest(tmp_path, train=["train.csv", "[ab].csv"], unlabelled=["pool.csv"])
    assert rejected(tmp_path) == dict.fromkeys(("a.csv:2", "b.csv:2"), annotation_fields.CONFLICT)
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["the row"]


def test_a_slip_in_a_label_and_an_edited_text_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = "gleaner_id,text,label\n0,edited words,wehre\n1,the row,stop\n"
    write(tmp_path, train__csv=TRAIN, test__csv=TEST, pool__csv="text\nthe row\n", answers__csv=back)
    ingest(tmp_path, train=["train.csv", "answers.csv"], unlabelled=["pool.csv"])
    printed = capsys.readouterr().err
    assert "answers: 2 labels for 2 rows, suggested or corrected; 1 of texts that are in no other file" in printed
    assert "no other file has the label wehre" in printed and "edited words" not in printed


def test_answers_may_come_from_a_table_of_the_database(tmp_path: Path) -> None:
    id = table.row_id("x.db", "=where is it")
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (text TEXT, label TEXT, who TEXT)")
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?)", [("a", "x", "1"), ("b", "y", "2"), ("=where is it", None, "3")]
        )
        database.execute("CREATE TABLE back (gleaner_id TEXT, text TEXT, label TEXT)")
        database.execute("INSERT INTO back VALUES (?, ?, ?)", (id, "'=where is it", "x"))
    database.close()
    ingest(
        tmp_path,
        source="sql",
        url="sqlite:///x.db",
        train=["SELECT * FROM t", "SELECT * FROM back"],
        test=["SELECT 'test' AS text, 'x' AS label, '' AS who"],
        columns={"groups": {"who": "who"}},
    )
    gold = output(tmp_path, "train").set_index("id")
    assert gold.loc[[id], ["text", "label", "group.who"]].to_numpy().tolist() == [["=where is it", "x", "3"]]
    assert output(tmp_path, "unlabelled").empty
