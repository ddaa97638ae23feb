"""Label Studio's export: the majority's label becomes a gold row, and an undecided task stays in the pool."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import annotation_fields, table
from pipeline.core.errors import UserError
from pipeline.sources.label_studio import majority_label
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
        "pool.csv:2": "labelled in another row",
        "pool.csv:3": "labelled in another row",
        "export.json:3": "exact duplicate",  # not answered yet: the row of the pool stays
    }
    assert metrics["answers"] == 2


def test_undecided_tasks_are_rejected_and_stay_in_the_pool(tmp_path: Path) -> None:
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
    assert expected in majority_label(annotations)


def test_other_controls_of_the_labelling_config_are_not_the_label() -> None:
    other = {"from_name": "mood", "type": "choices", "value": {"choices": ["angry"]}}
    both = annotation("where")
    both["result"].insert(0, other)
    assert majority_label([both]) == ("where", None)
    assert majority_label([{"result": [other]}]) == ("angry", None)


def test_an_export_of_another_project_is_read_by_its_columns(tmp_path: Path) -> None:
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
