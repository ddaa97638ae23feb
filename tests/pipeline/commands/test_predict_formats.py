"""How the input of `gleaner predict` is read: as the options say, by the content, or refused."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.sources.text_format import Choice, check_format
from pipeline.sources.text_rows import TextRows, read_rows
from pipeline.sources.text_stream import open_lines
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[3]


def read(
    monkeypatch: pytest.MonkeyPatch, content: str | bytes, form: str | None = None, column: str | None = None
) -> tuple[TextRows, list[str]]:
    """How standard input is read, and its texts."""
    data = content if isinstance(content, bytes) else content.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    choice = Choice(form, column)
    with open_lines("-", choice) as lines:
        table = read_rows(lines, "standard input", choice)
        return table, [row.text for row in table.rows]


@pytest.mark.parametrize(
    ("content", "reading", "texts"),
    [
        ("Message;id\nwhere is it;17\nrefund;18\n", "CSV, column Message", ["where is it", "refund"]),
        ("id,text\n1,a\n2,b\n", "CSV, column text", ["a", "b"]),
        (",text\n0,a\n1,b\n", "CSV, column text", ["a", "b"]),
        ("hi,\nthanks,\n", "plain lines, one text each", ["hi,", "thanks,"]),
        ("\ufeffID\tBody\r\n1\ta, b\r\n", "TSV, column Body", ["a, b"]),
        ("sep=;\nComment;n\na;1\n", "CSV, column Comment", ["a"]),
        ("text\nhello there\nbye\n", "CSV, column text", ["hello there", "bye"]),
        ('"id","text"\n"1","a\nb"\n', "CSV, column text", ["a\nb"]),
        ('[{"text": "a"}, {"text": "b"}]', "JSON, key text", ["a", "b"]),
        ('[\n  {"message": "a", "id": 1}\n]\n', "JSON, key message", ["a"]),
        ('{"data": [{"text": "a"}, {"text": "b"}]}', "JSON, key text", ["a", "b"]),
        ('{"text": "a"}\n{"text": "b"}\n', "JSON, key text", ["a", "b"]),
        ('{\n "text": "a"\n}\n{\n "text": "b"\n}\n', "JSON, key text", ["a", "b"]),
        ('{"text": "a"},\n{"text": "b"},\n{"text": "c"},\n', "JSON, key text", ["a", "b", "c"]),
        (
            "ok, text, me later\nsecond line, with a comma\n",
            "plain lines, one text each",
            ["ok, text, me later", "second line, with a comma"],
        ),
        ("hello,world\n", "plain lines, one text each", ["hello,world"]),
        ("[urgent] where is it\n", "plain lines, one text each", ["[urgent] where is it"]),
        ("Dear all,\nwhere is it?\n", "plain lines, one text each", ["Dear all,", "where is it?"]),
        ("Well, where is it?\nIt was due on Monday, Bob said, but no\n", "plain lines, one text each", None),
        ("I paid twice, 20 euros\nrefund, please\nhi, I have 3\n", "plain lines, one text each", None),
        ("2, maybe 3 days\n1, I think\n", "plain lines, one text each", None),
        ("it costs 3,50\n", "plain lines, one text each", None),
        ("3,50 euros too much\nplease refund\n", "plain lines, one text each", None),
        ("<b>urgent</b> where is it\n", "plain lines, one text each", None),
        ("the text; is here\nnext one\n", "plain lines, one text each", ["the text; is here", "next one"]),
    ],
)
def test_the_content_tells_the_format(
    monkeypatch: pytest.MonkeyPatch, content: str, reading: str, texts: list[str] | None
) -> None:
    table, found = read(monkeypatch, content)
    assert (table.reading, found) == (reading, content.splitlines() if texts is None else texts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name;number\nwhere is it;17\nrefund;18\n", "found lines of 2 cells each, which may be either"),
        ("ok, text\nfine, thanks\n", "found lines of 2 cells each, which may be either"),
        ("id,text,2024\n1,a,2\n", "found lines of 3 cells each, which may be either"),
        ("How do you like it?,comment\n1,a\n", "found lines of 2 cells each, which may be either"),
        ("id,text\n", "found one line that may be both"),
        ("text\n", "found one line that may be both"),
        ('[{"text": "a"},\n{"text": "b"}', "expected one whole JSON list"),
        ('{"id": 1, "n": 2}\n', "expected JSON objects with a key that is known to hold texts, found id, n"),
        ("[[1, 2], [3, 4]]", "found no JSON object"),
        ("1\twhere is it\n2\trefund\n", "found lines of several cells without a header"),
        ("1\twhere is it\n", "found lines of several cells without a header"),
        ('1,"where is it, please"\n2,refund\n', "found lines of several cells without a header"),
        ('1,"where\nis it"\n2,refund\n', "found lines of several cells without a header"),
        ("A-1,where is it, please\nA-2,refund\n", "found lines of several cells without a header"),
        ("where is it now please;17\nrefund the whole order;18\n", "found lines of several cells without a header"),
        ("where is my parcel now,delivery\nplease refund the order,refund\n", "found lines of several cells without"),
        ("\n<!DOCTYPE html>\n<p>a</p>\n", "found an HTML or XML page"),
        ("%PDF-1.7 ...\n", "expected a text file, found a PDF"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        read(monkeypatch, content)
    assert "\n" not in str(raised.value)
    assert "where is it" not in str(raised.value)  # no text of a row


def test_options_say_how_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ambiguous = "name;number\nwhere is it;17\n"
    assert read(monkeypatch, ambiguous, column="name")[1] == ["where is it"]
    assert read(monkeypatch, "How do you like it?,comment\n1,a\n", column="comment")[1] == ["a"]
    assert read(monkeypatch, ambiguous, form="lines")[1] == ["name;number", "where is it;17"]
    assert read(monkeypatch, "a,text\nb,c\n", form="lines")[1] == ["a,text", "b,c"]
    assert read(monkeypatch, "id\ttext\n1\ta, b\n", form="tsv")[1] == ["a, b"]
    assert read(monkeypatch, '{"words": "a", "id": 1}\n', column="words")[1] == ["a"]
    assert read(monkeypatch, "comment,message\na,b\n", column="message")[1] == ["b"]
    with pytest.raises(UserError, match="expected a column body, found no header with it; correct --text-column"):
        read(monkeypatch, "id,text\n1,a\n", column="body")
    with pytest.raises(UserError, match="--format: expected one of csv, tsv, jsonl, lines, found xml"):
        check_format(Choice("xml"))


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_and_gzip_are_read(monkeypatch: pytest.MonkeyPatch, encoding: str, pack) -> None:  # type: ignore[no-untyped-def]
    content = "id,text\n1,Où est mon colis déjà payé\n2,b\n".encode(encoding)
    assert read(monkeypatch, pack(content))[1] == ["Où est mon colis déjà payé", "b"]


@pytest.mark.parametrize(
    ("ending", "content", "found"),
    [
        ("txt", "id,text\n1,a\n2,b\n", ["a", "b"]),
        ("txt", "id\tbody\n1\ta\n2\tb\n", ["a", "b"]),
        ("txt", '{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ("csv", '{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ("txt", "a, b\nthe text\n", ["a, b", "the text"]),
        ("txt", "1\ta\n2\tb\n", "without a header"),
        ("csv", "<!DOCTYPE html>\n<html>\n", "found an HTML or XML page"),
        ("jsonl", " <html><body>\n", "found an HTML or XML page"),
    ],
)
def test_the_ending_does_not_hide_the_content(
    tmp_path: Path, ending: str, content: str, found: list[str] | str
) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_text(content)
    with open_lines(str(path), Choice()) as lines:
        if isinstance(found, list):
            assert [row.text for row in read_rows(lines, str(path), Choice()).rows] == found
        else:
            with pytest.raises(UserError, match=found):
                read_rows(lines, str(path), Choice())


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("document", "texts"),
    [
        ({"message": "where is it", "attachments": [{"name": "a"}, {"name": "b"}]}, ["where is it"]),
        ({"Message": "where is it", "items": [{"text": "a"}]}, ["where is it"]),
        ({"m1": {"text": "a", "lang": "en"}}, ["a"]),
        ({"m1": {"text": "a", "lang": "en"}, "m2": {"text": "b"}}, ["a", "b"]),
        ({"text": {"0": "a", "1": "b"}, "lang": {"0": "en", "1": "de"}}, ["a", "b"]),
        ({"messages": [{"text": "a"}, {"text": "b"}], "next": None}, ["a", "b"]),
        ({"message": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_an_object_with_a_text_of_its_own_is_one_row(
    monkeypatch: pytest.MonkeyPatch, document: dict[str, object], texts: list[str], indent: int | None
) -> None:
    assert read(monkeypatch, json.dumps(document, indent=indent))[1] == texts


def test_as_many_rows_come_out_as_go_in(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["1,a", "", "2,b,c", "3", "id,text", '4,"d', '5,"e" f', "6,g,,"]
    _, texts = read(monkeypatch, "id,text\n" + "\n".join(rows) + "\n")
    assert texts == ["a", "", "", "", "", '"d', '"e" f', "g"]
    _, texts = read(monkeypatch, json.dumps([{"text": "a"}, 5, {"text": None}, {"other": 1}, {"text": "b"}]))
    assert texts == ["a", "", "", "", "b"]


@pytest.mark.parametrize("command", [["predict"], ["explain", "--method", "lime", "--steps", "4", "--samples", "50"]])
def test_the_commands_say_how_they_read_or_end_with_one_line(tmp_path: Path, command: list[str]) -> None:
    bundle = build(tmp_path / "bundle", {"refund": [4, 0], "parcel": [0, 2]}, ["refund", "delivery"])
    option = "--format" if command[0] == "predict" else "--input-format"
    baseline = [] if command[0] == "predict" else ["--baseline", "mask"]

    def run(content: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "cli", *command, "-", "--bundle", str(bundle), *baseline, *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            words, cwd=tmp_path, env=environment, input=content, capture_output=True, text=True, check=False
        )

    done = run("Message;id\nwhere is my parcel;17\n")
    assert (done.returncode, done.stderr) == (0, "standard input: read as CSV, column Message\n")
    assert "delivery" in done.stdout
    done = run("name;number\nwhere is my parcel;17\n")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"set {option} lines" in done.stderr
    done = run("name;number\nwhere is my parcel;17\n", "--text-column", "name")
    assert (done.returncode, done.stderr) == (0, "standard input: read as CSV, column name\n")
