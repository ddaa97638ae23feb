"""Suggestions: what is written for the annotators, and how their answers come back as gold rows."""

import csv
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.labelling.suggest import SuggestionFiles, suggest
from tests.support import word_bundle
from tests.support.ingesting import ROOT, ingest, output, rejected, write
from tests.support.ingesting import params as ingest_params

TEST = "text,label\nis my parcel lost,delivery\nplease cancel my card,account\n"
TRAIN = "text,label\nwhere is the courier,delivery\nrefund me,refund\nmy login is lost,account\n"
SURE = [f"refund refund number {n} of them" for n in range(4)]
UNSURE = [
    "=refund or courier",
    "login, courier",
    "what a day",
    "'-who knows",
    '"quoted" words\nand lines',
    "I, for one",
]
NEAR = ["a much longer row that says nothing at all about it", "a much longer row that says nothing at all about it!"]
POOL = [*SURE, *UNSURE, *NEAR]


def project(root: Path, encoder: Path, pool: list[str] = POOL, **changes: Any) -> None:
    """Ingested rows, a bundle that knows a few words, and the tiny encoder, as `gleaner run` would leave them."""
    with_quotes = "".join('"{}"\n'.format(text.replace('"', '""')) for text in pool)
    write(root, train__csv=TRAIN, test__csv=TEST, pool__csv="text\n" + with_quotes)
    ingest(root, unlabelled=["pool.csv"], **changes)
    words = {"login": [4.0, 0, 0], "courier": [0, 4.0, 0], "refund": [0, 0, 4.0]}
    word_bundle.build(root / "data" / "export" / "bundle", words, ["account", "delivery", "refund"])
    shutil.copytree(encoder, root / "data" / "pretrain" / "encoder")


@pytest.fixture
def ask(tmp_path: Path, params: Callable[..., Params]) -> Callable[..., list[str]]:
    """``ask(3)``: suggest three rows of the project in tmp_path."""

    def run(
        count: int, name: str = "suggestions", tasks: str | None = None, blind: bool = False, **changes: Any
    ) -> list[str]:
        ingest_section = ingest_params(**({"unlabelled": ["pool.csv"]} | changes))
        project_params = params().model_copy(update={"ingest": ingest_section})
        files = SuggestionFiles(tmp_path / f"{name}.csv", tmp_path / tasks if tasks else None, blind)
        return suggest(count, files, project_params, Paths(tmp_path))

    return run


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_sheet_has_the_columns_of_the_data_and_the_same_rows_each_time(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder)
    lines = ask(5)
    rows = read(tmp_path / "suggestions.csv")
    assert list(rows[0]) == ["gleaner_id", "text", "label", "likely_label", "confidence", "why"]
    assert {row["label"] for row in rows} == {""}
    pool = output(tmp_path, "unlabelled").set_index("id")["text"]
    assert [table.strip_apostrophe(row["text"]) for row in rows] == pool[[row["gleaner_id"] for row in rows]].tolist()
    assert not set(pool[[row["gleaner_id"] for row in rows]]) & set(SURE)
    assert lines[0].startswith("5 of 11 rows chosen (1 near duplicates left out)")
    assert not any(text in "\n".join(lines) for text in POOL)
    ask(5, "again")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "suggestions.csv").read_bytes()
    ask(5, "blind", "blind.json", blind=True)
    assert list(read(tmp_path / "blind.csv")[0]) == ["gleaner_id", "text", "label"]
    tasks = json.loads((tmp_path / "blind.json").read_text())
    assert [list(task) for task in tasks] == [["data"]] * 5 and [list(task["data"]) for task in tasks] == [
        ["text", "gleaner_id"]
    ] * 5


def test_filled_in_rows_come_back_as_gold_rows(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder)
    ask(9)
    rows = read(tmp_path / "suggestions.csv")
    assert {"'=refund or courier", "''-who knows"} <= {row["text"] for row in rows}
    before = {name: output(tmp_path, name) for name in ("train", "unlabelled")}
    filled = [row | {"label": "refund" if i < 7 else ""} for i, row in enumerate(rows)]
    pd.DataFrame(filled).to_csv(tmp_path / "raw" / "answers.csv", index=False)
    metrics = ingest(tmp_path, train=["train.csv", "answers.csv"], unlabelled=["pool.csv"])
    gold, pool = output(tmp_path, "train"), output(tmp_path, "unlabelled")
    assert set(gold["id"]) - set(before["train"]["id"]) == {row["gleaner_id"] for row in filled[:7]}
    assert set(before["unlabelled"]["id"]) - set(pool["id"]) == {row["gleaner_id"] for row in filled[:7]}
    assert metrics["answers"] == 7
    asked = before["unlabelled"].set_index("id")["text"]
    assert all(asked[id] == text for id, text in zip(gold["id"], gold["text"], strict=True) if id in asked.index)


@pytest.mark.parametrize(
    "changes", [{"delimiter": ";"}, {"encoding": "utf-16"}, {"format": "csv", "delimiter": "|"}, {"format": "tsv"}]
)
def test_the_sheet_is_written_as_ingest_reads(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]], changes: dict[str, str]
) -> None:
    project(tmp_path, tiny_encoder)
    ask(4, **changes)
    form: dict[str, Any] = {
        "sep": changes.get("delimiter", "\t" if changes.get("format") == "tsv" else ","),
        "encoding": changes.get("encoding", "utf-8"),
    }
    filled = pd.read_csv(tmp_path / "suggestions.csv", **form).assign(label="refund")
    for name in ("train", "test", "pool"):
        pd.read_csv(tmp_path / "raw" / f"{name}.csv").to_csv(tmp_path / "raw" / f"{name}.csv", index=False, **form)
    filled.to_csv(tmp_path / "raw" / "answers.csv", index=False, **form)
    metrics = ingest(tmp_path, train=["train.csv", "answers.csv"], unlabelled=["pool.csv"], **changes)
    assert metrics["answers"] == 4


def test_a_format_that_cannot_read_the_sheet_is_an_error_before_anything_is_written(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder)
    with pytest.raises(UserError, match=r"ingest\.format: expected auto, csv or tsv.*found jsonl; set it to auto"):
        ask(1, format="jsonl")
    assert not list(tmp_path.glob("*.csv"))


def test_answers_of_label_studio_come_back_and_undecided_rows_are_not_suggested_again(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder)
    ask(6, tasks="label-studio.json")
    tasks = json.loads((tmp_path / "label-studio.json").read_text())
    config = ET.parse(tmp_path / "label-studio.xml").getroot()
    assert [choice.get("value") for choice in config.iter("Choice")] == ["account", "delivery", "refund"]
    assert len(tasks) == 6 and tasks[0]["predictions"][0]["model_version"].startswith("gleaner-")
    for i, task in enumerate(tasks):  # what Label Studio adds when people have answered
        answer = {**task["predictions"][0]["result"][0], "value": {"choices": ["delivery"]}}
        task["annotations"] = [{"result": [answer], "was_cancelled": i == 0, "completed_by": 1}]
    (tmp_path / "raw" / "export.json").write_text(json.dumps(tasks))
    files = ["train.csv", "export.json"]
    metrics = ingest(tmp_path, train=files, unlabelled=["pool.csv"])
    assert metrics["answers"] == 5 and metrics["rows"]["train"] == 3 + 5
    skipped = tasks[0]["data"]["gleaner_id"]
    assert skipped in set(output(tmp_path, "unlabelled")["id"])
    assert rejected(tmp_path)["export.json:1"] == "skipped by the annotators"
    lines = ask(5, "next", train=files)
    assert "1 undecided by annotators" in lines[0]
    assert skipped not in {row["gleaner_id"] for row in read(tmp_path / "next.csv")}


def test_a_text_of_several_columns_comes_back_whole(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    write(tmp_path, train__csv="subject,body,queue\nhi,refund me,refund\nhello,my login,account\n")
    write(tmp_path, test__csv="subject,body,queue\na,b,refund\nc,the courier,delivery\n")
    write(tmp_path, pool__csv="subject,body\nfirst,part\nsecond,thing\n")
    columns = {"text": ["subject", "body"], "label": "queue"}
    ingest(tmp_path, unlabelled=["pool.csv"], columns=columns)
    word_bundle.build(tmp_path / "data/export/bundle", {"refund": [1.0, 0, 0]}, ["account", "delivery", "refund"])
    shutil.copytree(tiny_encoder, tmp_path / "data" / "pretrain" / "encoder")
    lines = ask(1, columns=columns)
    assert any("the whole text is in subject; leave body empty" in line for line in lines)
    (row,) = read(tmp_path / "suggestions.csv")
    pd.DataFrame([row | {"queue": "refund"}]).to_csv(tmp_path / "raw" / "answers.csv", index=False)
    ingest(tmp_path, train=["train.csv", "answers.csv"], unlabelled=["pool.csv"], columns=columns)
    assert row["gleaner_id"] in set(output(tmp_path, "train")["id"])
    assert len(output(tmp_path, "unlabelled")) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"train": ["train.csv"]},
            "move them into raw and list them in ingest.train, e.g. [train.csv, suggestions.csv]",
        ),
        ({"source": "sql", "url": "sqlite:///x.db"}, "add a query with gleaner_id to ingest.train"),
        ({"path": "raw/train.csv"}, "ingest.path is one file; move it into a folder"),
    ],
)
def test_the_next_step_depends_on_the_source_of_the_data(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]], changes: dict[str, Any], line: str
) -> None:
    project(tmp_path, tiny_encoder)
    assert line in ask(1, **changes)[-1]


def test_an_impossible_request_is_one_line_and_writes_nothing(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder)
    for count, message in [
        (0, "N: expected at least 1 row to suggest, found 0"),
        (-3, "N: expected at least 1 row to suggest, found -3"),
        (12, r"N: expected at most the 11 rows of the pool \(1 near duplicates left out\), found 12; ask for fewer"),
    ]:
        with pytest.raises(UserError, match=message):
            ask(count)
    with pytest.raises(UserError, match="--label-studio: expected a file that ends in .json"):
        ask(1, tasks="tasks.xml")
    assert not list(tmp_path.glob("*.csv"))
    (tmp_path / "suggestions.csv").write_text("answers of a whole day")
    with pytest.raises(UserError, match="suggestions.csv: expected no such file, found one that may hold answers"):
        ask(1)
    shutil.rmtree(tmp_path / "data" / "export")
    word_bundle.build(tmp_path / "data/export/bundle", {"refund": [1.0, 0]}, ["delivery", "refund"])
    with pytest.raises(UserError, match="a classifier for the 3 labels of data/ingest, found one for 2; run `gleaner"):
        ask(1, "other")


def test_an_empty_pool_is_an_error_of_one_line(
    tmp_path: Path, tiny_encoder: Path, ask: Callable[..., list[str]]
) -> None:
    project(tmp_path, tiny_encoder, pool=[])
    with pytest.raises(UserError, match="N: expected unlabelled rows to choose from, found an empty pool"):
        ask(1)


def test_a_project_without_a_run_gets_a_hint_to_run_it(tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "cli", "suggest", "5"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "run `gleaner run` first" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
