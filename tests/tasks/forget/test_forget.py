"""The rows of a person leave every place that keeps texts, and the versions that learned from them are named."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.labelling.forgetting import read_requests
from pipeline.labelling.operations_log import LOG, read_entries
from tasks import registry
from tasks.forget import run
from tasks.registry import lookup
from tasks.registry.champion_check import check_champion
from tests.support import night_project, refreshing
from tests.support.forgetting import forget
from tests.support.night_project import drop_file, git, project_params, to_csv
from tests.support.operated_project import ARRIVED, SECRET, files_with, operated_project

pytestmark = pytest.mark.slow

PERSON = table.row_id("raw", SECRET)
ARRIVALS = "arrivals/2026-11-24T02-00-00.parquet"
PARAPHRASE = "my name is Ada Byron and my repayment is late"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Path]:
    """The project that each test copies; the rows of a person arrived, and every kind of file quotes them."""
    with operated_project(tmp_path_factory.mktemp("made"), store) as root:
        quote_everywhere(root)
        yield root


def quote_everywhere(root: Path) -> None:
    """Put the person's text into files of every kind that the project may hold."""
    (root / "dvc.yaml").write_text("stages: {report: {cmd: x, outs: [data/report/report.html]}}\n")
    git(root, "add", "dvc.yaml")
    git(root, "commit", "-q", "-m", "a report")
    highlighted = SECRET.replace("refund", "<mark>ref</mark>und").replace("Ada", "A&#100;a")
    scratch, rows = root / "data" / "scratch", table.read(root / "data" / "ingest" / "train.parquet").head(1)
    copies = rows.assign(id=table.row_id("raw", PARAPHRASE), source_id=PERSON, text=PARAPHRASE, origin="synonym")
    table.write(pd.concat([rows, copies]), root / "data" / "synonyms" / "train.parquet")
    for name, content in {
        "data/report/report.html": f"<!doctype html><html><p>{highlighted}</p></html>",
        "data/scratch/report/crash.txt": f"ValueError: could not read '{SECRET}' in row 3",
        "suggestions.csv": to_csv([(PERSON, SECRET, ""), ("0" * 16, "other", "")], "gleaner_id", "text", "label"),
        "label-studio.json": json.dumps([{"data": {"text": SECRET}}, {"data": {"text": "other"}}]),
        "predictions.jsonl": json.dumps({"text": SECRET, "label": "refund"}) + '\n{"text": "other"}\n',
        "inbox/texts/set-aside/broken.xml": f"<?xml version='1.0'?><t>{SECRET}</t>",
        "inbox/texts/set-aside/rows-1.csv": to_csv([("monday.csv", SECRET), ("x.csv", "other")], "file", "text"),
        "inbox/texts/waiting.csv": to_csv([(SECRET, "refund"), ("a new row", "delivery")], "text", "label"),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (scratch / "embeddings").mkdir(parents=True)
    with closing(sqlite3.connect(scratch / "embeddings" / "x.sqlite")) as vectors, vectors:
        vectors.execute("CREATE TABLE vector (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        vectors.executemany("INSERT INTO vector VALUES (?, 'v')", [(key(SECRET),), (key("other"),)])
    run_id = lookup.get_version(registry.connect(root), "gleaner-demo", "1").run
    registry.connect(root).log_text(run_id, f"an error of '{SECRET}'", "note.txt")


def key(text: str) -> bytes:
    """The key of a text in a store of vectors."""
    return hashlib.sha256(text.encode()).digest()[:16]


def is_tracked(path: Path) -> bool:
    """Whether DVC's pointer to a file is that of its content."""
    pointer = read_yaml(path.with_name(f"{path.name}.dvc"))
    return bool(pointer["outs"][0]["md5"] == hashlib.md5(path.read_bytes()).hexdigest())


def test_a_row_leaves_every_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(files_with(root, SECRET)) > 10
    assert forget(root, PERSON) == 0
    assert files_with(root, SECRET) == [] and files_with(root, PARAPHRASE) == []
    printed = capsys.readouterr().out
    assert SECRET not in printed and "version 1 (challenger, champion): train" not in printed
    assert "version 1 (champion): train" in printed and "The champion serves on" in printed
    assert "DVC cache: " in printed and "DVC remote: " in printed and "vectors" in printed
    assert not (root / "data" / "report" / "report.html").exists()
    assert not (root / "inbox" / "texts" / "set-aside" / "broken.xml").exists()
    with closing(sqlite3.connect(root / "data" / "scratch" / "embeddings" / "x.sqlite")) as vectors:
        assert vectors.execute("SELECT key FROM vector").fetchall() == [(key("other"),)]


def test_the_rows_of_others_stay(root: Path) -> None:
    ingested = set(night_project.ingest_table(root, "train")["text"])
    assert forget(root, PERSON) == 0
    assert set(night_project.ingest_table(root, "train")["text"]) == ingested - {SECRET}
    assert list(pd.read_parquet(root / ARRIVALS)["text"]) == [ARRIVED[1][0]]
    assert (root / "inbox" / "texts" / "waiting.csv").read_text() == to_csv(
        [("a new row", "delivery")], "text", "label"
    )
    assert (root / "predictions.jsonl").read_text() == '{"text": "other"}\n'
    assert json.loads((root / "label-studio.json").read_text()) == [{"data": {"text": "other"}}]
    assert list(pd.read_csv(root / "suggestions.csv", dtype=str)["gleaner_id"]) == ["0" * 16]
    (taken,) = (root / "inbox" / "texts" / "taken").iterdir()
    assert taken.read_text() == to_csv(ARRIVED[1:], "text", "label")
    assert check_champion(root).startswith("champion: gleaner-demo version 1, every byte")


def test_dvc_and_git_have_the_arrivals_without_the_row_and_a_night_goes_on(root: Path) -> None:
    assert forget(root, PERSON) == 0
    assert is_tracked(root / ARRIVALS)
    assert git(root, "log", "-1", "--format=%s") == "Arrivals: 2026-11-24T02-00-00.parquet\n"
    assert git(root, "status", "--short", "--", "arrivals") == ""
    night_project.run_ingest(root)
    assert refreshing.take_in_texts(root, days=1).new == 2
    assert SECRET not in set(night_project.ingest_table(root, "train")["text"])


def test_a_file_of_texts_and_ids(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = tmp_path / "person.txt"
    wanted.write_text(f"  My  name \n\n{SECRET.replace(' ', '  ')}\n{table.row_id('raw', ARRIVED[1][0])}\n")
    assert forget(root, match=wanted) == 1
    printed = capsys.readouterr().out
    assert f"Not found: {wanted}, line 1\n" in printed and "line 3" not in printed
    assert files_with(root, SECRET) == [] and len(pd.read_parquet(root / ARRIVALS)) == 0
    assert f"{wanted} holds the texts: remove it, too" in printed


def test_what_people_own_is_named_and_left(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = night_project.GOLD[1][0]
    assert forget(root, table.row_id("raw", text)) == 1
    printed = capsys.readouterr().out
    assert "raw/train.csv: record 3; it is yours, remove it there" in printed and text not in printed
    assert text in (root / "raw" / "train.csv").read_text()
    assert text not in set(night_project.ingest_table(root, "train")["text"])


def test_what_was_done_is_kept_without_the_text(root: Path) -> None:
    assert forget(root, PERSON) == 0
    content = (root / LOG).read_text()
    assert SECRET not in content and PARAPHRASE not in content
    (started,), (done,) = read_entries(root, "forget"), read_entries(root, "forgotten")
    assert PERSON in started["ids"] and started["versions"] == ["1"] and started["arrivals"] == [ARRIVALS]
    assert (done["left"], done["retired"]) == ([], [])


def test_it_may_be_run_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert forget(root, PERSON) == 0
    before = (root / ARRIVALS).read_bytes()
    capsys.readouterr()
    assert forget(root, PERSON) == 0
    assert "nothing, no place holds these rows" in capsys.readouterr().out
    assert (root / ARRIVALS).read_bytes() == before


@pytest.mark.parametrize("step", ["remove_objects", "apply_finding", "add_to_dvc", "commit_pointers"])
def test_a_forget_that_was_killed_goes_on(
    root: Path, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, step, kill)
        assert forget(root, PERSON) == 130
    capsys.readouterr()
    assert forget(root, PERSON) == 0
    assert "version 1 (champion)" in capsys.readouterr().out
    assert files_with(root, SECRET) == []
    assert is_tracked(root / ARRIVALS)
    assert git(root, "status", "--short", "--", "arrivals") == ""


def test_a_dry_run_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_with(root, SECRET)
    assert forget(root, PERSON, dry_run=True) == 0
    assert files_with(root, SECRET) == before and not (root / LOG).exists()
    assert capsys.readouterr().out.startswith("Would remove:\n  DVC cache: ")


def test_requests_are_checked_without_quoting_them(root: Path, tmp_path: Path) -> None:
    ingest = project_params(root).ingest
    with pytest.raises(UserError, match="expected a row to forget, found none"):
        read_requests([], None, ingest)
    with pytest.raises(UserError, match="16 hexadecimal digits, found another value as number 2") as error:
        read_requests([PERSON, SECRET], None, ingest)
    assert SECRET not in str(error.value)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="latin.txt: expected a text file in UTF-8, .* found: bytes that are no UTF-8"):
        read_requests([], tmp_path / "latin.txt", ingest)
    with pytest.raises(UserError, match="none.txt: expected a text file in UTF-8, .* found: No such file"):
        read_requests([], tmp_path / "none.txt", ingest)


def test_files_that_are_no_text_stop_nothing(root: Path) -> None:
    noise = bytes(range(128, 256))
    for name in ("data/traffic/secret", "data/traffic/noise", "noise.bin"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(noise)
    assert forget(root, PERSON) == 0
    assert files_with(root, SECRET) == [] and (root / "data" / "traffic" / "secret").read_bytes() == noise


def test_a_file_in_the_inbox_that_cannot_be_read_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop_file(root, "sheet.xlsx", b"PK\x03\x04" + bytes(range(256)) * 20)
    assert forget(root, PERSON) == 1
    assert "inbox/texts/sheet.xlsx: it could not be read" in capsys.readouterr().out


def test_arrivals_that_are_links_into_the_cache_keep_the_rows_of_others(root: Path) -> None:
    arrived = root / ARRIVALS
    md5 = hashlib.md5(arrived.read_bytes()).hexdigest()
    arrived.unlink()
    arrived.symlink_to(root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:])
    assert forget(root, PERSON) == 0
    assert list(pd.read_parquet(arrived)["text"]) == [ARRIVED[1][0]] and not arrived.is_symlink()


def test_a_remote_that_is_no_folder_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace("../storage", "s3://bucket/path"))
    assert forget(root, table.row_id("raw", ARRIVED[1][0]), dry_run=True) == 1
    printed = capsys.readouterr().out
    assert "DVC remote: it is no folder of this machine and was not searched; remove there the objects that" in printed
    assert "dvc gc" not in printed
