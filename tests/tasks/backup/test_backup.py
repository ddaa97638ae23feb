"""A backup holds all that cannot be made again, is consistent, and looks finished only when it is."""

import shutil
import sqlite3
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from tasks.backup import create, restore
from tasks.backup.create import back_up
from tasks.backup.manifest import MANIFEST, UNFINISHED, read_manifest
from tests.support import refreshing
from tests.support.night_project import drop_file, to_csv

pytestmark = pytest.mark.slow

Usage = namedtuple("Usage", "total used free")


def test_the_outputs_of_stages_are_in_a_backup_once(root: Path, tmp_path: Path) -> None:
    manifest = back_up(root, tmp_path / "backup")
    assert not [name for name in manifest.files if name.startswith("project/data/ingest/") and "parquet" in name]
    stored = tmp_path / "backup" / "project" / "storage" / "files" / "md5"
    linked = [path.stat().st_nlink for path in stored.rglob("*") if path.is_file()]
    assert linked and set(linked) == {2}


def test_a_killed_backup_never_looks_finished(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(create, "copy_dvc", kill)
        with pytest.raises(KeyboardInterrupt):
            back_up(root, tmp_path / "backup")
    with pytest.raises(UserError, match="found one that was cut off"):
        restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    back_up(root, tmp_path / "backup")
    assert not (tmp_path / "backup" / UNFINISHED).exists()
    assert restore.restore(tmp_path / "backup", tmp_path / "again", force=False).project == tmp_path / "again"


def test_a_backup_goes_into_a_new_or_empty_folder_outside_the_project(root: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    with pytest.raises(UserError, match="found 1 entries that are no backup"):
        back_up(root, tmp_path / "full")
    with pytest.raises(UserError, match="found one inside, which is lost with it"):
        back_up(root, root / "backup")
    back_up(root, tmp_path / "backup")
    with pytest.raises(UserError, match="found the backup of "):
        back_up(root, tmp_path / "backup")
    back_up(root, tmp_path / "second")


def test_a_file_that_moves_during_the_backup_is_in_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_file = create.copy_file

    def move_first(source: Path, target: Path) -> tuple[str, int]:
        waiting = root / "inbox" / "texts" / "tuesday.csv"
        if waiting.exists() and source.parent.name == "raw":
            waiting.rename(root / "inbox" / "texts" / "taken" / "moved.csv")
        return copy_file(source, target)

    (root / "inbox" / "feedback" / "late.csv").write_text("text,label\n")
    monkeypatch.setattr(create, "copy_file", move_first)
    manifest = back_up(root, tmp_path / "backup")
    assert "project/inbox/texts/taken/moved.csv" in manifest.files


def test_the_database_is_copied_while_somebody_writes_it(root: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("UPDATE registered_models SET description = 'half written'")
        back_up(root, tmp_path / "backup")
    copied = (tmp_path / "backup" / "project" / "mlflow.db").read_bytes()
    assert b"half written" not in copied


def test_a_damaged_database_is_said(root: Path, tmp_path: Path) -> None:
    (root / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError, match="mlflow.db: expected an intact SQLite database, found: file is not a database"):
        back_up(root, tmp_path / "backup")
    assert not (tmp_path / "backup" / MANIFEST).exists()


def test_too_little_space_is_said_before_anything_is_copied(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(root, tmp_path / "backup")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 90, 10))
    with pytest.raises(UserError, match="MiB of free space, found 0 MiB"):
        back_up(root, tmp_path / "second")
    with pytest.raises(UserError, match="MiB of free space, found 0 MiB"):
        restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert not (tmp_path / "second").exists() and not (tmp_path / "again").exists()


def test_what_servers_keep_is_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:secret@mlflow.example.com")
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace("../storage", "s3://bucket/path"))
    back_up(root, tmp_path / "backup")
    assert read_manifest(tmp_path / "backup").left == [
        "MLflow: https://ada:***@mlflow.example.com keeps runs and versions, and whoever runs it backs it up",
        "DVC remote: s3://bucket/path keeps its content, and whoever runs it backs it up",
    ]


def test_no_row_is_lost_while_nights_take_them_in(root: Path, tmp_path: Path) -> None:
    texts: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        for night in range(4):
            new = [f"row {number} of night {night}" for number in range(3)]
            for text in new:
                drop_file(root, f"{text}.csv", to_csv([(text, "refund")], "text", "label"))
            texts |= {*new}
            copying = pool.submit(back_up, root, tmp_path / f"backup-{night}")
            refreshing.take_in_texts(root, days=night + 1)
            copying.result()
            copied = tmp_path / f"backup-{night}" / "project"
            waiting = [pd.read_csv(path)["text"] for path in (copied / "inbox" / "texts").glob("*.csv")]
            arrived = [pd.read_parquet(path)["text"] for path in (copied / "arrivals").glob("*.parquet")]
            assert texts <= set(pd.concat([*waiting, *arrived]))
