"""A label cell that holds a list or an object: one entry is the label, none is no label, several are set aside."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources.label_cells import SEVERAL, read_label
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nwhere is my parcel,delivery\nplease send the invoice,billing\n"


@pytest.mark.parametrize(
    "cell",
    [
        ["billing"],
        '["billing"]',
        "['billing']",
        "[ 'billing' ]",
        "('billing',)",
        "{'billing'}",
        '{"choices": ["billing"]}',
        "{'choices': ['billing']}",
        {"choices": ["billing"]},
        '{"choices": "billing"}',
        "{'choices': 'billing'}",
        {"choices": "billing"},
        [{"choices": ["billing"]}],
        [["billing"]],
        ["billing", "billing", None],
        np.array(["billing"]),
        "array(['billing'], dtype=object)",
        b'["billing"]',
        " billing ",
    ],
)
def test_one_entry_is_the_label(cell: Any) -> None:
    assert read_label(cell) == ("billing", None)


@pytest.mark.parametrize(
    "cell", [[], "[]", "{}", "()", "set()", '{"choices": []}', [None], "[null]", '[""]', np.array([]), None, "", " "]
)
def test_no_entry_is_no_label(cell: Any) -> None:
    assert read_label(cell) == (None, None)


@pytest.mark.parametrize(
    "cell",
    [
        ["a", "b"],
        '["a", "b"]',
        "['a', 'b']",
        "['a' 'b']",
        "['a'\n 'b']",
        '{"choices": ["a", "b"]}',
        "[0 2]",
        [1, 2],
        np.array(["a", "b"]),
    ],
)
def test_several_entries_are_a_fault(cell: Any) -> None:
    assert read_label(cell) == (None, SEVERAL)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("[OTHER]", "[OTHER]"),
        ("(a)", "(a)"),
        ("(1)", "(1)"),
        ("a, b", "a, b"),
        ("[", "["),
        ("[1, 2", "[1, 2"),
        ('{"name": "a"}', '{"name": "a"}'),
        ({"name": "a"}, '{"name": "a"}'),
        ("[" * 30_000, "[" * 30_000),
        (1.0, "1"),
        (Decimal("1.00"), "1"),
        (np.float32(2), "2"),
        (True, "True"),
        ([1], "1"),
    ],
)
def test_what_is_no_container_of_labels_stays_as_it_is(cell: Any, label: str) -> None:
    assert read_label(cell) == (label, None)


def test_lists_in_json_lines(tmp_path: Path) -> None:
    cells = [["delivery"], ["billing"], [], ["billing", "delivery"], None, {"choices": ["billing"]}]
    lines = [json.dumps({"text": f"text number {i}", "label": cell}) for i, cell in enumerate(cells)]
    write(tmp_path, train__jsonl="\n".join(lines), test__csv=TEST)
    ingest(tmp_path, train=["train.jsonl"])
    assert output(tmp_path, "train")["label"].tolist() == ["delivery", "billing", "billing"]
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["text number 2", "text number 4"]
    assert rejected(tmp_path) == {"train.jsonl:4": "several labels in one cell"}


def test_objects_of_label_studio_in_csv(tmp_path: Path) -> None:
    cells = {"one": "delivery", "two": '"{""choices"": [""billing""]}"', "three": '"{""choices"": [""a"", ""b""]}"'}
    train = "text,label\n" + "".join(f"{text},{cell}\n" for text, cell in cells.items())
    write(tmp_path, train__csv=train, test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["label"].tolist() == ["delivery", "billing"]
    assert rejected(tmp_path) == {"train.csv:4": "several labels in one cell"}


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.string())])
def test_lists_of_arrow(tmp_path: Path, kind: pa.DataType) -> None:
    write(tmp_path, test__csv=TEST)
    labels = pa.array([["delivery"], ["billing"], None], kind)
    pq.write_table(pa.table({"text": ["one", "two", "three"], "label": labels}), tmp_path / "raw" / "train.parquet")
    ingest(tmp_path, train=["train.parquet"])
    assert output(tmp_path, "train")["label"].tolist() == ["delivery", "billing"]
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["three"]


def test_a_bad_escape_within_a_list_sets_its_row_aside(tmp_path: Path) -> None:
    lines = [
        '{"text": "one", "label": ["a"]}',
        '{"text": "two", "label": ["b"]}',
        '{"text": "c", "label": "[\\"\\\\ud800\\"]"}',
    ]
    write(tmp_path, train__jsonl="\n".join(lines), test__csv="text,label\nx,a\n")
    ingest(tmp_path, train=["train.jsonl"])
    assert rejected(tmp_path) == {"train.jsonl:3": "not valid UTF-8"}


def test_a_group_in_a_list_is_that_group(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["one", "two", "three"], "label": ["a", "b", "b"], "sex": [["f"], [], ["f", "m"]]})
    write(tmp_path, test__csv="text,label,sex\nx,a,f\n")
    frame.to_parquet(tmp_path / "raw" / "train.parquet")
    ingest(tmp_path, train=["train.parquet"], columns={"groups": {"sex": "sex"}}, doubts="warn")
    assert output(tmp_path, "train")["group.sex"].fillna("null").tolist() == ["f", "null", '["f", "m"]']
