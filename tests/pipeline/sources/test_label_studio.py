"""Answers come back: Label Studio's export and filled-in CSV files become gold rows, and nothing of them is lost."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import annotation_fields, table
from pipeline.core.errors import UserError
from pipeline.sources.label_studio import answer
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
TRAIN = "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"
POOL = ["=where is it", "stop it now", "never mind", "who are you", "what a day"]


def annotation(*choices: str, **more: Any) -> dict[str, Any]:
    result = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}
    return {"result": [result] if choices else [], "was_cancelled": False, **more}


def task(text: str, *annotations: dict[str, Any], **data: str) -> dict[str, Any]:
    ours = {"text": text, "gleaner_id": table.row_id("raw", text)}
    return {"id": 7, "data": ours | data, "annotations": list(annotations), "predictions": []}


def run(root: Path, tasks: Any, **changes: Any) -> dict[str, Any]:
    pool = "text\n" + "".join(f"{text}\n" for text in POOL)
    write(root, train__csv=TRAIN, test__csv=TEST, pool__csv=pool, export__json=json.dumps(tasks))
    return ingest(root, **({"train": ["train.csv", "export.json"], "unlabelled": ["pool.csv"]} | changes))


def test_annotations_become_gold_rows_and_leave_the_pool(tmp_path: Path) -> None:
    tasks = [task(POOL[0], annotation("where", completed_by=1)), task(POOL[1], annotation("stop")), task(POOL[2])]
    metrics = run(tmp_path, tasks)
    gold = output(tmp_path, "train").set_index("id")["label"]
    assert len(gold) == 4
    assert gold[table.row_id("raw", POOL[0])] == "where" and gold[table.row_id("raw", POOL[1])] == "stop"
    assert output(tmp_path, "unlabelled")["text"].tolist() == POOL[2:]
    assert rejected(tmp_path) == {
        "pool.csv:2": "exact duplicate",
        "pool.csv:3": "exact duplicate",
        "export.json:3": "exact duplicate",  # not answered yet: the row of the pool stays
    }
    assert metrics["answers"] == 2


def test_what_annotators_could_not_settle_is_set_aside_and_stays_in_the_pool(tmp_path: Path) -> None:
    tasks = [
        task(POOL[0], annotation("where", was_cancelled=True)),
        task(POOL[1], annotation("where", "stop")),
        task(POOL[2], annotation("where", completed_by=1), annotation("stop", completed_by=2)),
        task(POOL[3], annotation()),
        {"nothing": "that we know"},
    ]
    metrics = run(tmp_path, tasks)
    assert rejected(tmp_path) == {
        "export.json:1": "skipped by the annotators",
        "export.json:2": "several choices in an annotation",
        "export.json:3": "annotators disagree",
        "export.json:4": "skipped by the annotators",
        "export.json:5": "not a Label Studio task with data and annotations",
    }
    assert output(tmp_path, "unlabelled")["text"].tolist() == POOL
    assert output(tmp_path, "rejected")["id"].tolist()[:4] == [table.row_id("raw", text) for text in POOL[:4]]
    assert metrics["answers"] == 0


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([annotation("a", completed_by=1), annotation("a", completed_by=2), annotation("b", completed_by=3)], "a"),
        ([annotation("a"), annotation("a"), annotation("b")], "a"),
        ([annotation("a"), annotation("b", was_cancelled=True)], "a"),
        ([annotation("a", completed_by=1, updated_at="2"), annotation("b", completed_by=1, updated_at="1")], "a"),
        ([annotation("a", completed_by={"id": 1}), annotation("b", completed_by={"id": 1})], "b"),
        ([annotation("a"), annotation("a", "b"), annotation("b")], annotation_fields.DISAGREE),
        ([annotation("a"), annotation("a", "b")], annotation_fields.DISAGREE),
        ([annotation("a", "a")], "a"),
    ],
)
def test_the_majority_decides(annotations: list[dict[str, Any]], expected: str) -> None:
    assert expected in answer(annotations)


def test_other_controls_of_the_labelling_config_are_not_the_label() -> None:
    other = {"from_name": "mood", "type": "choices", "value": {"choices": ["angry"]}}
    both = annotation("where")
    both["result"].insert(0, other)
    assert answer([both]) == ("where", None)
    assert answer([{"result": [other]}]) == ("angry", None)


def test_a_project_of_ones_own_is_read_by_its_columns(tmp_path: Path) -> None:
    tasks = [{"data": {"text": "a text of my own"}, "annotations": [annotation("stop")]}]
    metrics = run(tmp_path, tasks, format="auto")
    assert "a text of my own" in output(tmp_path, "train")["text"].tolist()
    assert metrics["answers"] == 0  # nobody had suggested it
    with pytest.raises(
        UserError, match="export.json: expected the columns text, label; missing text, found body, label"
    ):
        run(tmp_path, [{"data": {"body": "a text"}, "annotations": [annotation("stop")]}])


def test_json_lines_in_a_json_file_are_still_read(tmp_path: Path) -> None:
    write(tmp_path, train__json='{"text": "one", "label": "a"}\n{"text": "two", "label": "b"}\n', test__csv=TEST)
    ingest(tmp_path, train=["train.json"])
    assert output(tmp_path, "train")["text"].tolist() == ["one", "two"]


def test_the_format_can_be_given_and_must_be_right(tmp_path: Path) -> None:
    tasks = [task("one", annotation("a")), task("two", annotation("b"))]
    write(tmp_path, train__txt=json.dumps(tasks), test__txt=json.dumps([task("three", annotation("a"))]))
    assert ingest(tmp_path, train=["train.txt"], test=["test.txt"], format="label_studio")["rows"]["train"] == 2
    write(tmp_path, train__txt=TRAIN)
    with pytest.raises(UserError, match="train.txt: expected Label Studio's export.*a list of tasks"):
        ingest(tmp_path, train=["train.txt"], test=["test.txt"], format="label_studio")


def test_answers_in_csv_need_no_groups_and_no_split_and_lose_their_apostrophes(tmp_path: Path) -> None:
    everything = (
        "text,label,who,part\nwhere is my parcel,where,x,train\nI want to cancel,-1,x,train\nlost,where,x,test\n"
    )
    pool = "=where is it,,a,unlabelled\n'-really,,b,unlabelled\nleft,,b,unlabelled\n"
    ids = [table.row_id("raw", text) for text in ("=where is it", "'-really", "left")]
    back = f"gleaner_id,text,label\n{ids[0]},'=where is it,'-1\n{ids[1]},''-really,where\n{ids[2]},left,\n"
    write(tmp_path, all__csv=everything + pool, answers__csv=back)
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
    bare = [f"unlike any other {number}{number}" for number in range(9)]
    write(tmp_path, train__csv="text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    write(tmp_path, pool__csv="text\n" + "\n".join(bare))
    ingest(tmp_path, test=[], unlabelled=["pool.csv"], split=shares, labels_per_class=4)
    before = {name: output(tmp_path, name)["id"].tolist() for name in ("train", "validation", "test")}
    back = "".join(f"{table.row_id('raw', text)},{text},x\n" for text in bare)
    write(tmp_path, answers__csv="gleaner_id,text,label\n" + back)
    files = ["train.csv", "answers.csv"]
    ingest(tmp_path, train=files, test=[], unlabelled=["pool.csv"], split=shares, labels_per_class=4)
    after = {name: output(tmp_path, name)["id"].tolist() for name in ("train", "validation", "test")}
    assert after["validation"] == before["validation"] and after["test"] == before["test"]
    assert set(before["train"]) < set(after["train"]) and len(after["train"]) == len(before["train"]) + 9


def test_answers_that_contradict_each_other_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (
        f"gleaner_id,text,label\n{table.row_id('raw', 'the row')},the row,{label}\n" for label in ("where", "stop")
    )
    write(tmp_path, train__csv=TRAIN, test__csv=TEST, pool__csv="text\nthe row\n", a__csv=one, b__csv=two)
    ingest(tmp_path, train=["train.csv", "[ab].csv"], unlabelled=["pool.csv"])
    assert rejected(tmp_path) == dict.fromkeys(("a.csv:2", "b.csv:2"), annotation_fields.CONFLICT)
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["the row"]


def test_a_slip_in_a_label_and_an_edited_text_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = "gleaner_id,text,label\n0,edited words,wehre\n1,the row,stop\n"
    write(tmp_path, train__csv=TRAIN, test__csv=TEST, pool__csv="text\nthe row\n", answers__csv=back)
    ingest(tmp_path, train=["train.csv", "answers.csv"], unlabelled=["pool.csv"])
    told = capsys.readouterr().err
    assert "answers: 2 labels for 2 suggested rows; 1 of texts that are in no other file" in told
    assert "no other file has the label wehre" in told and "edited words" not in told


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
