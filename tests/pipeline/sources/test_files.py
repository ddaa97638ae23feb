"""Files are read as people have them: each trap ends in a row, a reason for its rejection, or one clear line."""

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
TRAIN = "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"


def test_csv_rows_become_tables_of_the_schema(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    metrics = ingest(tmp_path)
    train = output(tmp_path, "train")
    assert train["text"].tolist() == ["where is my parcel", "I want to cancel"]
    assert train["label"].tolist() == ["where", "stop"]
    assert set(train["origin"]) == {"gold"}
    assert train["id"].tolist() == train["source_id"].tolist()
    assert metrics["rows"] == {"read": 4, "train": 2, "validation": 0, "test": 2, "unlabelled": 0}
    assert output(tmp_path, "unlabelled").empty


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.tsv", TRAIN.replace(",", "\t")),
        ("train.csv", TRAIN.replace(",", ";")),
        ("train.csv", TRAIN.replace(",", "|")),
        ("train.csv", "\ufeff" + TRAIN),
        ("train.csv", TRAIN.replace("\n", "\r\n")),
        (
            "train.jsonl",
            '{"text": "where is my parcel", "label": "where"}\n\n{"label": "stop", "text": "I want to cancel"}',
        ),
    ],
)
def test_delimiter_byte_order_mark_and_format_are_detected(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path, test__csv=TEST, **{name.replace(".", "__"): content})
    ingest(tmp_path, train=[name])
    assert output(tmp_path, "train")["text"].tolist() == ["where is my parcel", "I want to cancel"]


def test_format_and_delimiter_can_be_given(tmp_path: Path) -> None:
    write(tmp_path, train__txt="text~label\na, b; c~x\nd~y\n", test__txt="text~label\ne~x\n")
    ingest(tmp_path, train=["train.txt"], test=["test.txt"], format="csv", delimiter="~")
    assert output(tmp_path, "train")["text"].tolist() == ["a, b; c", "d"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", ["物流很快", "déçu"]),
        ("utf-16-le", ["物流很快，早上下单，下午就到了", "包装很高档"]),
        ("latin-1", ["Très déçu par la qualité du colis", "Ma carte a été refusée à l'étranger", "arrivé abîmé"]),
        ("gbk", ["物流很快，早上下单，下午就到了", "在这里买的一套，没用几天", "话筒声小，插上耳机手机还能外放"]),
    ],
)
def test_encoding_is_detected(tmp_path: Path, encoding: str, words: list[str]) -> None:
    lines = "".join(f"{word},{label}\n" for word, label in zip(words, ["good", "bad", "bad"], strict=False))
    write(tmp_path, train__csv=f"text,label\n{lines}".encode(encoding), test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist() == words


def test_encoding_can_be_given_and_must_exist(tmp_path: Path) -> None:
    data = "text,label\nnaïve,x\ncafé,y\n".encode("latin-1")
    write(tmp_path, train__csv=data, test__csv=TEST)
    ingest(tmp_path, encoding="latin-1")
    assert output(tmp_path, "train")["text"].tolist() == ["naïve", "café"]
    with pytest.raises(UserError, match="ingest.encoding: expected an encoding that Python knows.*klingon"):
        ingest(tmp_path, encoding="klingon")


def test_invalid_utf8_rejects_its_row_only(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN.encode() + b"bad \xff\xfe bytes,stop\nand \xc3\xa9 fine,stop\n", test__csv=TEST)
    metrics = ingest(tmp_path)
    assert rejected(tmp_path) == {"train.csv:4": "not valid UTF-8"}
    assert output(tmp_path, "rejected")["text"].tolist() == [r"bad \udcff\udcfe bytes"]
    assert metrics["rejected"] == {"not valid UTF-8": 1}
    assert "and é fine" in output(tmp_path, "train")["text"].tolist()


def test_rows_that_cannot_be_read_are_rejected_with_their_text(tmp_path: Path) -> None:
    train = TRAIN + 'too,many,cells\nfew\n,stop\n"closed, too" early,stop\n"never closed,stop\nlast row,stop\n'
    write(tmp_path, train__csv=train, test__csv=TEST)
    ingest(tmp_path)
    assert rejected(tmp_path) == {
        "train.csv:4": "more cells than columns",
        "train.csv:6": "empty text",
        "train.csv:7": "broken quotes",
    }
    assert output(tmp_path, "rejected")["text"].tolist()[0] == "too,many,cells\n"
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["few"]
    assert output(tmp_path, "train")["text"].tolist()[-2:] == ['"never closed', "last row"]


def test_a_huge_cell_is_rejected_whole(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN + "x" * 10_000_000 + ",stop\n", test__csv=TEST)
    ingest(tmp_path)
    assert rejected(tmp_path) == {"train.csv:4": "longer than max_chars"}
    assert len(output(tmp_path, "rejected")["text"].iloc[0]) == 10_000_000


def test_nul_bytes_are_removed(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN + "a\0b\0 c,stop\n", test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist()[-1] == "ab c"


def test_quoted_cells_may_span_lines(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN + '"two\n\n  lines, ""quoted""",stop\none,more,cell\n', test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist()[-1] == 'two\nlines, "quoted"'
    assert rejected(tmp_path) == {"train.csv:7": "more cells than columns"}


def test_a_column_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label,text\na,b,c\n", test__csv=TEST)
    with pytest.raises(UserError, match="train.csv:1: expected each column once, found text more than once"):
        ingest(tmp_path)


def test_json_lines_that_make_no_sense_are_rejected(tmp_path: Path) -> None:
    good = '{"text": "one", "label": 0}\n{"text": "two", "label": 1}\n'
    bad = '{"text": \n[1]\n{"text": "\\ud800", "label": 1}\n{"label": 1}\n'
    write(tmp_path, train__jsonl=good + bad, test__csv=TEST)
    ingest(tmp_path, train=["train.jsonl"])
    assert rejected(tmp_path) == {
        "train.jsonl:3": "not valid JSON",
        "train.jsonl:4": "not a JSON object",
        "train.jsonl:5": "not valid UTF-8",
        "train.jsonl:6": "empty text",
    }
    assert output(tmp_path, "train")["label"].tolist() == ["0", "1"]


def test_parquet_labels_of_any_type_become_text(tmp_path: Path) -> None:
    write(tmp_path, test__csv=TEST)
    frame = pd.DataFrame({"text": ["one", "two", "three"], "label": [0, 1, None], "other": [[1], [2], [3]]})
    frame.astype({"text": "category"}).to_parquet(tmp_path / "raw" / "train.parquet")
    ingest(tmp_path, train=["train.parquet"])
    assert output(tmp_path, "train")["label"].tolist() == ["0", "1"]
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["three"]


@pytest.mark.parametrize(("stored", "seen"), [(pa.binary(), pa.string()), (pa.large_binary(), pa.large_string())])
def test_parquet_text_that_is_not_utf8_is_rejected(tmp_path: Path, stored: pa.DataType, seen: pa.DataType) -> None:
    write(tmp_path, test__csv=TEST)
    text = pa.array([b"one", b"two", b"bad \xff"], stored).view(seen)
    pq.write_table(pa.table({"text": text, "label": ["a", "b", "b"]}), tmp_path / "raw" / "train.parquet")
    ingest(tmp_path, train=["train.parquet"])
    assert rejected(tmp_path) == {"train.parquet:3": "not valid UTF-8"}


def test_a_file_that_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, train__parquet=TRAIN, test__csv=TEST)
    with pytest.raises(UserError, match="train.parquet: expected a whole Parquet file"):
        ingest(tmp_path, train=["train.parquet"])


def test_patterns_are_read_in_name_order_and_the_path_may_be_a_file(tmp_path: Path) -> None:
    write(tmp_path, b__csv=TRAIN, a__csv="text,label\nfirst of all,stop\n", test__csv=TEST)
    ingest(tmp_path, train=["[ab].csv"])
    assert output(tmp_path, "train")["text"].tolist()[0] == "first of all"
    shares = {"validation": 0.0, "test": 0.5, "stratify": False}
    many = "text,label\n" + "".join(f"text number {i} of many,{i % 2}\n" for i in range(20))
    write(tmp_path, all__csv=many)
    metrics = ingest(tmp_path, path="raw/all.csv", train=["all.csv"], test=[], split=shares)
    assert metrics["rows"]["test"] == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "nowhere"}, "ingest.path: expected a file or folder, found no nowhere"),
        ({"train": ["nothing*.csv"]}, 'ingest.train: expected a file that matches "nothing.*holds test.csv, train.csv'),
        ({"train": ["*.csv"]}, "ingest.test: expected each file in one split, found test.csv in train and test"),
        ({"train": ["../train.csv"]}, "ingest.train: expected a pattern below ingest.path"),
        ({"train": ["/train.csv"]}, "ingest.train: expected a pattern below ingest.path"),
        ({"unlabelled": ["notes.doc"]}, 'notes.doc: expected one of the endings .*found ".doc"; set ingest.format'),
        ({"encoding": "utf-16"}, "expected text in utf-16, found other bytes"),
    ],
)
def test_files_that_cannot_be_found_or_read_are_one_clear_line(tmp_path: Path, changes: dict, message: str) -> None:
    write(tmp_path, train__csv=TRAIN + "!", test__csv=TEST)
    if "unlabelled" in changes:
        write(tmp_path, notes__doc="x")
    with pytest.raises(UserError, match=message) as error:
        ingest(tmp_path, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("test", ["", TEST])
@pytest.mark.parametrize("content", ["", "text,label\n", "text,label\n,x\n,y\n"])
def test_a_file_without_a_usable_row_is_an_error(tmp_path: Path, content: str, test: str) -> None:
    write(tmp_path, train__csv=content, test__csv=test)
    with pytest.raises(UserError, match="train.csv: expected at least one usable row, found (no rows|2 empty text)"):
        ingest(tmp_path)


def test_an_empty_unlabelled_file_is_fine(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN, test__csv=TEST, pool__csv="text\n")
    assert ingest(tmp_path, unlabelled=["pool.csv"])["rows"]["unlabelled"] == 0


def test_links_that_lead_nowhere_and_pipes_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    (tmp_path / "raw" / "train-2.csv").symlink_to("nowhere.csv")
    with pytest.raises(UserError, match="train-2.csv: expected a file, found a link that leads nowhere; remove it"):
        ingest(tmp_path, train=["train*.csv"])
    (tmp_path / "raw" / "train-2.csv").unlink()
    os.mkfifo(tmp_path / "raw" / "train-3.csv")
    with pytest.raises(UserError, match="train-3.csv: expected a file, found something else, such as a named pipe"):
        ingest(tmp_path, train=["train*.csv"])
    (tmp_path / "raw" / "train-3.csv").unlink()
    (tmp_path / "raw" / "train-4.csv").mkdir()
    assert ingest(tmp_path, train=["train*.csv"])["rows"]["train"] == 2


@pytest.mark.parametrize(
    "changes", [{"path": "x" * 5000}, {"path": "a\0b"}, {"train": ["a\0b"]}, {"train": ["x" * 5000]}]
)
def test_paths_that_no_file_system_takes_are_one_line(tmp_path: Path, changes: dict) -> None:
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    with pytest.raises(UserError, match=r"ingest\.(path|train): expected"):
        ingest(tmp_path, **changes)


def test_a_file_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    (tmp_path / "raw" / "train.csv").rename(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/train-\xe9.csv"))
    (tmp_path / "raw" / os.fsdecode(b"more-\xe9.csv")).write_text("text,label\n,stop\nmore of it,stop\n")
    ingest(tmp_path, train=["train*.csv", "more*.csv"])
    assert output(tmp_path, "train")["text"].tolist()[-1] == "more of it"
    assert rejected(tmp_path) == {r"more-\udce9.csv:2": "empty text"}
