"""Prediction from files: formats in and out, order, rows that cannot be labelled, and user errors."""

import csv
import io
import json
from pathlib import Path

import pytest

from pipeline.commands import predict
from pipeline.commands.predict import Request, predict_file
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.core.stage import write_json
from pipeline.models import classifier
from pipeline.sources.text_format import Choice

WORDS = {"[PAD]": 0, "[UNK]": 1, "refund": 2, "money": 3, "parcel": 4, "courier": 5}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle whose ONNX model scores each known word and takes the mean: refund or delivery."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("bundle")
    scores = np.array([[0, 0], [0, 0], [4, 0], [4, 0], [0, 4], [0, 4]], dtype=np.float32)
    nodes = [
        helper.make_node("Gather", ["scores", "input_ids"], ["found"]),
        helper.make_node("ReduceMean", ["found", "axis"], ["logits"], keepdims=0),
    ]
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(scores, "scores"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), folder / "model.onnx"
    )
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"labels": ["refund", "delivery"], "temperature": 1.0, "pad_id": 0, "max_length": 16, "serve": "float32"}
    write_json(about, folder / "classifier.json")
    classifier.seal(folder)
    return folder


def labelled(path: Path | str, bundle: Path, column: str | None = None, form: str | None = None) -> str:
    """The output of predict_file."""
    out = io.StringIO()
    predict_file(Request(str(path), ServedBundle(bundle), Choice(form, column)), out)
    return out.getvalue()


def table_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def write_file(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pipe_in(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Put the content into standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


def test_csv_keeps_its_columns_and_order_and_gains_three(tmp_path: Path, bundle: Path) -> None:
    path = write_file(tmp_path, "in.csv", 'id,text\n7,"parcel, late\nagain"\n3,refund\n')
    rows = table_of(labelled(path, bundle))
    assert [row["id"] for row in rows] == ["7", "3"]
    assert rows[0]["text"] == "parcel, late\nagain"
    assert [row["label"] for row in rows] == ["delivery", "refund"]
    assert all(0.5 < float(row["confidence"]) <= 1 and row["version"] == "" for row in rows)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_csv_keeps_its_delimiter(tmp_path: Path, bundle: Path, delimiter: str) -> None:
    path = write_file(tmp_path, "in.csv", f"\ufeffid{delimiter}text\r\n1{delimiter}parcel, money, parcel\r\n".encode())
    assert table_of(labelled(path, bundle), delimiter)[0]["label"] == "delivery"


def test_jsonl_stays_jsonl(tmp_path: Path, bundle: Path) -> None:
    path = write_file(tmp_path, "in.jsonl", '{"text": "refund ✓", "n": [1, 2]}\n\n{"n": null, "text": "courier"}\n')
    first, second = map(json.loads, labelled(path, bundle).splitlines())
    assert (first["text"], first["n"], first["label"]) == ("refund ✓", [1, 2], "refund")
    assert list(second) == ["n", "text", "label", "confidence", "version"]


def test_a_carriage_return_within_a_cell_stays_there(tmp_path: Path, bundle: Path) -> None:
    path = write_file(tmp_path, "in.csv", "id,text\n1,refund\rplease\n2,parcel\n")
    rows = table_of(labelled(path, bundle))
    assert [(row["text"], row["label"]) for row in rows] == [("refund\rplease", "refund"), ("parcel", "delivery")]


def test_plain_lines_come_out_as_csv(tmp_path: Path, bundle: Path) -> None:
    rows = table_of(labelled(write_file(tmp_path, "in.txt", 'refund, "now"\r\nparcel'), bundle))
    assert [(row["text"], row["label"]) for row in rows] == [('refund, "now"', "refund"), ("parcel", "delivery")]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ('{"text": "refund"}\n', '{"text": "refund", "label": "refund"'),
        ("id,text\n1,refund\n", "id,text,label,confidence,version"),
        ("refund please\n", "text,label,confidence,version"),
    ],
)
def test_the_first_line_of_standard_input_decides_its_format(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, content: str, first: str
) -> None:
    pipe_in(monkeypatch, content)
    assert labelled("-", bundle).startswith(first)


def test_rows_without_a_readable_text_get_no_label_and_are_counted(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"text,n\nrefund,1\n ,2\n\ncaf\xe9 refund,3\nparcel,4,5,6\nparcel\n"
    rows = table_of(labelled(write_file(tmp_path, "in.csv", content), bundle))
    assert [row["label"] for row in rows] == ["refund", "", "", "", "", "delivery"]
    assert rows[3]["text"] == "caf\ufffd refund"
    assert rows[4]["n"] == "4 5 6"
    message = capsys.readouterr().err
    assert "4 of 6 rows got no label: 2 empty, 1 more cells than columns, 1 not UTF-8 (first at line 3)" in message
    assert "refund" not in message


def test_json_lines_without_a_readable_text_get_null(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = "[" * 100_000
    lines = ['{"text": "refund"}', "not json", "[1]", '{"text": 5}', '{"text": null}', '{"text": "\\ud800"}', deep]
    rows = [
        json.loads(line) for line in labelled(write_file(tmp_path, "in.jsonl", "\n".join(lines)), bundle).splitlines()
    ]
    assert [row["label"] for row in rows] == ["refund", *[None] * 6]
    reasons = "1 empty, 1 nested too deeply, 1 not UTF-8, 1 not a JSON object, 1 not a text, 1 not valid JSON"
    assert f"6 of 7 rows got no label: {reasons} (first at line 2)" in capsys.readouterr().err


def test_cells_that_a_spreadsheet_would_run_are_neutralised_but_numbers_are_not(tmp_path: Path, bundle: Path) -> None:
    cells = ["=1+1", "+cmd", "-1.5", "-x", "@SUM(A1)", "+49", "\t=1", "plain"]
    content = "=id,text\n" + "".join(f"{cell},refund\n" for cell in cells)
    header, *rows = csv.reader(io.StringIO(labelled(write_file(tmp_path, "in.csv", content), bundle)))
    assert header[0] == "'=id"
    assert [row[0] for row in rows] == ["'=1+1", "'+cmd", "-1.5", "'-x", "'@SUM(A1)", "+49", "'\t=1", "plain"]


def test_many_chunks_and_long_cells_keep_their_order(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "CHUNK_ROWS", 10)
    texts = ["refund" if i % 3 else "courier" for i in range(95)]
    texts[50] = "refund " * 150_000
    content = "text\n" + "\n".join(texts)
    csv.field_size_limit(10_000_000)  # of this test's own reader
    labels = [row["label"] for row in table_of(labelled(write_file(tmp_path, "in.csv", content), bundle))]
    assert labels == ["refund" if i % 3 else "delivery" for i in range(95)]


def test_rows_are_written_before_the_whole_input_is_read(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "CHUNK_ROWS", 2)
    content = '{"text": "refund"}\n{"text": "refund"}\n{"text": "refund", "label": "mine"}\n'
    out = io.StringIO()
    with pytest.raises(UserError, match=r"in\.jsonl:3: expected no label.*rename"):
        path = write_file(tmp_path, "in.jsonl", content)
        predict_file(Request(str(path), ServedBundle(bundle), Choice()), out)
    assert len(out.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "id,words\n1,refund\n", "expected one column that is known to hold texts, found .* id, words; name"),
        ("in.csv", "where is my parcel now,17\nx,1\n", "a first row of 2 cells that are no names"),
        ("in.csv", "comment,message\na,b\n", "expected one column that is known to hold texts"),
        ("in.csv", "text,text\n1,refund\n", "expected each column once, found text more than once"),
        (
            "in.csv",
            "text,label,label_predicted\nrefund,x,y\n",
            "expected no label_predicted, which the prediction adds",
        ),
        ("in.csv", "", "expected at least one row, found an empty file"),
        (
            "in.jsonl",
            '{"words": "refund", "id": 1}\n',
            "expected JSON objects with a key that is known .*found words, id; name the key",
        ),
        ("in.json", '[\n{"text": "refund"},\n', "in.json:3: expected one whole JSON list, found"),
        ("in.json", "refund please\n", "expected JSON objects with a key .* found no JSON object"),
        ("in.csv", b"PK\x03\x04....", "expected a text file, found a ZIP archive or an Excel workbook"),
        ("in.xlsx", "PK", "expected a file that ends in .csv, .tsv,.* found .xlsx"),
        ("missing/in.csv", None, "expected a readable file, found: No such file or directory"),
    ],
)
def test_a_user_error_is_one_line(
    tmp_path: Path, bundle: Path, name: str, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / name if content is None else write_file(tmp_path, name, content)
    with pytest.raises(UserError, match=message) as raised:
        labelled(path, bundle)
    assert "\n" not in str(raised.value)


def test_a_quote_that_is_never_closed_is_part_of_its_text(tmp_path: Path, bundle: Path) -> None:
    content = 'text\nrefund\n"refund' + "\nparcel" * 500
    rows = table_of(labelled(write_file(tmp_path, "in.csv", content), bundle))
    assert [row["text"] for row in rows] == ["refund", '"refund', *["parcel"] * 500]
    assert all(row["label"] for row in rows)
