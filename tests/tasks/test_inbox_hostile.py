"""No file in an inbox stops a night: each is taken in, set aside row by row, or moved away with one line of reason."""

import gzip
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from tasks import inbox, refresh
from tests.support import night_project as project

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
GOOD = project.to_csv([(f"message number {number}", "refund") for number in range(5)], "text", "label")
ROW = '{"text": "a row of json", "label": "refund"}\n'


def task(annotations: object) -> bytes:
    """A Label Studio export of one task."""
    return json.dumps([{"data": {"text": "a task of an export"}, "annotations": annotations}]).encode()


HOSTILE: dict[str, bytes] = {
    "wide.csv": ",".join(f"c{i}" for i in range(40_000)).encode(),
    "quotes.csv": b"text,label\n" + b'a","\n' * 5_000,
    "open.csv": b'text,label\n"never closed,refund\n',
    "only-quotes.csv": b"text,label\n" + b'"' * 100_000,
    "nul.csv": b"\0" * 100_000,
    "random.csv": bytes(range(256)) * 100,
    "header.csv": b"text,label",
    "twice.csv": b"text,text,label\na,b,c\n",
    "other.csv": b"a,b\n1,2\n",
    "sep.csv": b"sep=;",
    "deep.jsonl": b"[" * 20_000 + b"\n" + ROW.encode(),
    "deep-cell.jsonl": b'{"text": "deep", "label": ' + b"[" * 900 + b"]" * 900 + b"}\n",
    "digits.jsonl": b'{"text": "digits", "label": ' + b"9" * 5_000 + b"}\n",
    "surrogate.jsonl": b'{"text": "half \\ud800", "label": "refund"}\n{"text": "b", "label": "\\udfff"}\n',
    "surrogate-key.json": b'[{"\\ud800": "a"}]',
    "truncated.json": b'[{"text": "a"}, {"text": ',
    "scalar.json": b"5",
    "empty-list.json": b"[]",
    "lists.json": b"[[1, 2], [3]]",
    "infinite.jsonl": b'{"text": NaN, "label": Infinity}\n',
    "annotations-5.json": task(5),
    "annotations-odd.json": task([5, {"result": 5}, {"result": [{"type": "choices", "value": 5}]}]),
    "choices-odd.json": task([{"result": [{"type": "choices", "value": {"choices": [["x"], 5]}}]}]),
    "choices-surrogate.json": task([{"result": [{"type": "choices", "value": {"choices": ["\ud800"]}}]}]),
    "id-odd.json": json.dumps([{"data": {"text": "x", "gleaner_id": {"a": [1]}}, "annotations": []}]).encode(),
    "workbook.csv": b"PK\x03\x04" + bytes(100),
    "bomb.csv.gz": gzip.compress(b"\0" * 2**27, 1),
    "cut.csv.gz": gzip.compress(GOOD.encode())[:-6],
    "plain.csv.gz": GOOD.replace("message", "plain").encode(),
    "half.csv": GOOD.encode("utf-16")[:-1],
    "no.parquet": b"PAR1" + bytes(100) + b"PAR1",
    "text.parquet": GOOD.encode(),
    "unknown.doc": b"x",
    "no-ending": b"x",
    "n" * 246 + ".csv": GOOD.replace("message", "long name").encode(),
    "m" * 246 + ".doc": b"x",
}
PARQUET = {
    "twice.parquet": pa.Table.from_arrays([pa.array(["a"])] * 3, names=["text", "text", "label"]),
    "date.parquet": pa.table({"text": ["far away"], "label": pa.array([10**15 * 300], pa.timestamp("ms"))}),
    "nested.parquet": pa.table({"text": [[{"a": [1]}]], "label": [{"x": 1}]}),
    "map.parquet": pa.table({"text": ["mapped"], "label": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))}),
    "wide.parquet": pa.table({f"c{i}": [1] for i in range(11_000)}),
    "nulls.parquet": pa.table({"text": pa.nulls(3), "label": pa.nulls(3)}),
    "bytes.parquet": pa.table({"text": pa.array([b"\xff"]), "label": pa.array([b"\xff\x00"])}),
}


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(inbox, "SETTLING_SECONDS", 0.0)
    with disable_run_logger():
        yield


def fill(folder: Path) -> int:
    """Put every hostile file into an inbox; returns how many there are."""
    for name, content in HOSTILE.items():
        (folder / name).write_bytes(content)
    for name, table in PARQUET.items():
        pq.write_table(table, folder / name)
    for latin_name in (b"caf\xe9.csv", b"caf\xe9.doc"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + latin_name)).write_bytes(
            GOOD.replace("message", "latin").encode()
        )
    return len(HOSTILE) + len(PARQUET) + 2


@pytest.mark.slow
def test_a_night_goes_on_whatever_lies_in_the_inbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project.make_project(tmp_path)
    folder = root / "inbox" / "texts"
    count = fill(folder)
    project.drop_file(root, "zz-good.csv", GOOD)
    os.mkfifo(folder / "pipe.csv")
    (folder / "dangling.csv").symlink_to("nowhere")
    (folder / "a folder.csv").mkdir()
    (root / "arrivals" / "stray.parquet").write_bytes(b"no Parquet")
    start = time.process_time()
    counts = refresh.take_in_texts.fn(root, project.project_params(root), NIGHT)
    assert time.process_time() - start < 30
    assert (counts.files, counts.left) == (count + 1, 3)
    (file,) = (root / "arrivals").glob("2026*.parquet")
    arrived = pd.read_parquet(file)["text"].tolist()
    assert {f"{kind} number 4" for kind in ("message", "long name", "latin", "plain")} <= set(arrived)
    reasons = {path.name: path.read_text() for path in (folder / "set-aside").glob("*.reason.txt")}
    assert len(reasons) == counts.unreadable
    assert all(text.count("\n") == 1 and "Traceback" not in text for text in reasons.values())
    assert not [name for name, text in reasons.items() if "report this error" in text]  # all were foreseen
    assert "Error" not in counts.line("texts")
    assert {path.name for path in folder.iterdir()} == {
        "pipe.csv",
        "dangling.csv",
        "a folder.csv",
        "taken",
        "set-aside",
    }
    assert "arrivals/stray.parquet: not read, as `gleaner retrain` did not write it" in capsys.readouterr().err
    again = refresh.take_in_texts.fn(root, project.project_params(root), NIGHT)
    assert (again.files, again.new, again.left) == (0, 0, 3)


def test_an_unforeseen_error_is_a_reason_that_quotes_no_text(tmp_path: Path) -> None:
    def read(path: Path) -> pd.DataFrame:
        if path.name == "bad.csv":
            raise KeyError("the secret text of a row")
        return pd.DataFrame({"text": ["fine"]})

    tables, unreadable = inbox.read_files([tmp_path / "bad.csv", tmp_path / "good.csv"], read)
    assert list(tables) == [tmp_path / "good.csv"]
    (reason,) = unreadable.values()
    assert "found one that ends in KeyError at test_inbox_hostile.py:" in reason
    assert "secret" not in reason and "\n" not in reason


@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "ä" * 125 + ".csv", "x.csv", "." + "y" * 254])
def test_long_names_are_cut_and_stay_different(name: str) -> None:
    short = inbox.short_name(name)
    assert len(os.fsencode(short)) <= 195
    assert Path(short).suffix == Path(name).suffix or len(Path(name).suffix) > 20
    assert inbox.short_name("z" + name[1:]) != short


def test_an_inbox_that_is_a_pipe_is_one_line(tmp_path: Path) -> None:
    from pipeline.core.errors import UserError
    from pipeline.labelling.incoming import check_inbox

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="refresh.inbox: expected a file or folder, found something else"):
        check_inbox("pipe", "refresh.inbox", tmp_path)
    with pytest.raises(UserError, match="expected a file or folder, found no"):
        check_inbox("x" * 5000, "refresh.inbox", tmp_path)
