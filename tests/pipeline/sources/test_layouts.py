"""Layouts that exports really have: JSON lists and tables, Excel's sep= line, joined files, short rows, gzip."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
ROWS = [{"text": "where is my parcel", "label": "where"}, {"text": "I want to cancel", "label": "stop"}]
TEXTS = [row["text"] for row in ROWS]


def train_texts(root: Path, name: str, content: str | bytes, **changes: Any) -> list[str]:
    """The training texts after ingest has read one file."""
    write(root, test__csv=TEST)
    (root / "raw" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    ingest(root, train=[name], **changes)
    texts: list[str] = output(root, "train")["text"].tolist()
    return texts


@pytest.mark.parametrize("name", ["train.json", "train.jsonl"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        json.dumps({"data": ROWS}),
        json.dumps({"status": "ok", "next": None, "results": ROWS}, indent=1),
        json.dumps({key: {str(i): row[key] for i, row in enumerate(ROWS)} for key in ("text", "label")}),  # pandas
        json.dumps({key: [row[key] for row in ROWS] for key in ("text", "label")}),
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "\n\n" + "\n".join(map(json.dumps, ROWS)),
        ",\n".join(map(json.dumps, ROWS)),
        "".join(f"{json.dumps(row)},\n" for row in ROWS),
        ",\n".join(json.dumps(row, indent=2) for row in ROWS) + ",\n",
        ("\ufeff" + "\n".join(map(json.dumps, ROWS))),
        "\n".join(map(json.dumps, ROWS)).encode("utf-16"),
        json.dumps(ROWS).encode("utf-8-sig"),
    ],
)
def test_json_in_any_layout_is_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert train_texts(tmp_path, name, content) == TEXTS
    assert rejected(tmp_path) == {}


def test_objects_that_are_broken_do_not_take_the_others_with_them(tmp_path: Path) -> None:
    first, second = (json.dumps(row, indent=2) for row in ROWS)
    assert train_texts(tmp_path, "train.json", f'{first}\n{{\n  "text": \n}}\n{second}\n5\n') == TEXTS
    assert rejected(tmp_path) == {"train.json:5": "not valid JSON", "train.json:12": "not a JSON object"}
    assert train_texts(tmp_path, "train.json", json.dumps([ROWS[0], 5, None, ROWS[1]])) == TEXTS
    assert rejected(tmp_path) == {"train.json:2": "not a JSON object", "train.json:3": "not a JSON object"}
    lines = ['{"text": "cut', *map(json.dumps, ROWS)]
    assert train_texts(tmp_path, "train.json", "\n".join(lines)) == TEXTS
    assert rejected(tmp_path) == {"train.json:1": "not valid JSON"}


def test_a_list_that_ends_early_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.json:1: expected one whole JSON list, found .*; export the file anew"):
        train_texts(tmp_path, "train.json", json.dumps(ROWS)[:-1])


def test_a_row_may_hold_lists_and_objects_beside_its_text(tmp_path: Path) -> None:
    row = {"text": "one row", "label": "stop", "spans": [{"start": 1}], "meta": {"a": 1}}
    assert train_texts(tmp_path, "train.json", json.dumps(row) + "\n" + json.dumps(ROWS[0])) == ["one row", TEXTS[0]]


def test_numbers_and_depths_beyond_python_are_kept_or_set_aside(tmp_path: Path) -> None:
    deep = '{"text": "deep", "label": ' + "[" * 900 + "]" * 900 + "}"
    long = '{"text": "long", "label": ' + "7" * 5000 + "}"
    lines = [*map(json.dumps, ROWS), deep, "[" * 20_000, long]
    assert train_texts(tmp_path, "train.jsonl", "\n".join(lines)) == [*TEXTS, "long"]
    assert rejected(tmp_path) == {"train.jsonl:3": "nested too deeply", "train.jsonl:4": "nested too deeply"}
    assert "7" * 5000 in output(tmp_path, "train")["label"].tolist()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [";", "|", "\t", "~", ","])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}"])
def test_the_line_of_excel_names_the_delimiter(tmp_path: Path, mark: str, delimiter: str, line: str) -> None:
    rows = "".join(f"{row['text']}{delimiter}{row['label']}\r\n" for row in ROWS)
    content = f"{mark}{line.format(delimiter)}\r\ntext{delimiter}label\r\n{rows}"
    assert train_texts(tmp_path, "train.csv", content) == TEXTS


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_headers_of_joined_files_are_set_aside(tmp_path: Path, mark: str) -> None:
    part = f"{mark}text,label\n{ROWS[0]['text']},where\n"
    other = f"{mark}text,label\n{ROWS[1]['text']},stop\n"
    assert train_texts(tmp_path, "train.csv", part + other) == TEXTS
    assert rejected(tmp_path) == {"train.csv:3": "repeats the header"}
    excel = f"{mark}sep=;\ntext;label\n"
    assert train_texts(tmp_path, "train.csv", excel + "a;where\n" + excel + "b;stop\n") == ["a", "b"]
    assert set(rejected(tmp_path).values()) == {"repeats the header"}


def test_cells_that_are_missing_at_the_end_are_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = "text;label;note\nfirst;where\nsecond;stop;call\nthird;where;\nfourth\nfifth;stop;;;\nsixth;stop;a;b\n"
    assert train_texts(tmp_path, "train.csv", content) == ["first", "second", "third", "fifth"]
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["fourth"]
    assert rejected(tmp_path) == {"train.csv:7": "more cells than columns"}
    assert "train.csv: 2 rows have fewer cells than the header" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv.gz", "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"),
        ("train.tsv.gz", "text\tlabel\nwhere is my parcel\twhere\nI want to cancel\tstop\n"),
        ("train.jsonl.gz", "\n".join(map(json.dumps, ROWS))),
        ("train.JSON.GZ", json.dumps(ROWS)),
        ("train.csv", "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"),  # packed under the wrong name
    ],
)
def test_gzip_is_unpacked(tmp_path: Path, name: str, content: str) -> None:
    assert train_texts(tmp_path, name, gzip.compress(content.encode())) == TEXTS


@pytest.mark.parametrize("delimiter", [",,", "", '"', "\n"])
def test_a_delimiter_is_one_character(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(ValueError, match="delimiter: expected one character"):
        ingest(tmp_path, delimiter=delimiter)


@pytest.mark.parametrize("encoding", ["undefined", "idna", "rot13", "klingon", "a\0b"])
def test_an_encoding_is_one_that_texts_are_in(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UserError, match="ingest.encoding: expected an encoding that Python knows|set ingest.encoding"):
        train_texts(tmp_path, "train.csv", b"text,label\na.b\xff\xfe,where\n", encoding=encoding)
