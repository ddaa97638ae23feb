"""A project that was lost comes back from its backup, elsewhere, and nothing that is there is overwritten."""

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pandas as pd
import pytest
from dvc.repo import Repo

from cli import backup as backup_command
from cli import restore as restore_command
from flows.night_lock import night_lock
from pipeline.core.errors import UserError
from tasks import registry
from tasks.backup import restore
from tasks.backup.create import back_up
from tasks.backup.manifest import MANIFEST
from tasks.dvc.store import file_md5
from tasks.registry import champion_alias
from tasks.registry.champion_check import check_champion
from tests.support import night_project
from tests.support.operated_project import SECRET

pytestmark = pytest.mark.slow

Usage = namedtuple("Usage", "total used free")
ARRIVALS = "arrivals/2026-11-24T02-00-00.parquet"


def test_a_project_that_is_lost_comes_back_in_another_place(root: Path, tmp_path: Path) -> None:
    tables = {path.name: pd.read_parquet(path) for path in (root / "data" / "ingest").glob("*.parquet")}
    head = night_project.git(root, "rev-parse", "HEAD")
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "# not committed\n")
    (root / "raw" / "pool.csv").unlink()
    manifest = back_up(root, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    shutil.rmtree(root)

    done = restore.restore(tmp_path / "backup", tmp_path / "elsewhere" / "again", force=False)
    again = tmp_path / "elsewhere" / "again"
    assert done.project == again and done.notes == [] and manifest.left == []
    assert check_champion(again).startswith("champion: gleaner-demo version 1, every byte of its bundle checked")
    state = champion_alias.load_champion_state(registry.connect(again), "gleaner-demo")
    assert (state.ledger.champion, state.alias, state.ledger.faults) == ("1", "1", ())
    assert night_project.git(again, "rev-parse", "HEAD") == head
    changed = night_project.git(again, "status", "--short").split("\n")
    assert changed == [" M params.yaml", " D raw/pool.csv", "?? dvc.lock", ""]
    for name, expected in tables.items():
        pd.testing.assert_frame_equal(pd.read_parquet(again / "data" / "ingest" / name), expected)
    assert SECRET in set(pd.read_parquet(again / ARRIVALS)["text"])
    assert (again / "inbox" / "texts" / "tuesday.csv").exists() and (again / "inbox" / "feedback").is_dir()
    assert str(root) not in (again / "mlflow.db").read_bytes().decode(errors="replace")
    from tests.support import refreshing

    assert refreshing.take_in_texts(again, days=1).new == 1  # a night goes on from there


def test_a_damaged_backup_is_refused_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    back_up(root, tmp_path / "backup")
    (tmp_path / "backup" / "project" / "raw" / "train.csv").write_text("text,label\nsomething else,refund\n")
    with pytest.raises(UserError, match="raw/train.csv: expected the file that was backed up, found another"):
        restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    (tmp_path / "backup" / "project" / "raw" / "train.csv").unlink()
    with pytest.raises(UserError, match="raw/train.csv: .* found none"):
        restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert not (tmp_path / "again").exists()


def test_commands_say_what_they_did(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup_command.main(root / "raw", tmp_path / "backup") == 2
    assert "found no params.yaml; run this in the project's folder" in capsys.readouterr().err
    assert not (root / "raw" / "data").exists()
    assert backup_command.main(root, tmp_path / "backup") == 0
    assert "files, " in capsys.readouterr().out
    with night_lock(root):
        assert restore_command.main(tmp_path / "backup", root, force=True) == 2
    assert restore_command.main(tmp_path / "backup", root, force=True) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Restored: ") and "champion: gleaner-demo version 1, every byte" in printed


def test_a_file_whose_name_is_no_utf8_comes_back(root: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    (root / "inbox" / "texts" / name).write_text("text\n")
    back_up(root, tmp_path / "backup")
    restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert (tmp_path / "again" / "inbox" / "texts" / name).read_text() == "text\n"


def test_a_restore_overwrites_nothing_unless_it_is_forced(root: Path, tmp_path: Path) -> None:
    back_up(root, tmp_path / "backup")
    (root / "newer.txt").write_text("newer")
    with pytest.raises(UserError, match="expected a new or empty folder, found .* entries, the last changed at"):
        restore.restore(tmp_path / "backup", root, force=False)
    done = restore.restore(tmp_path / "backup", root, force=True)
    assert not (root / "newer.txt").exists() and (root / "params.yaml").exists()
    (aside,) = tmp_path.glob("project-before-restore-*")
    assert (aside / "newer.txt").read_text() == "newer" and str(aside) in done.notes[0]


def test_a_manifest_that_leads_out_of_the_project_is_refused(root: Path, tmp_path: Path) -> None:
    back_up(root, tmp_path / "backup")
    file = tmp_path / "backup" / MANIFEST
    for content in ({"files": {"project/../../x": ["0", 1]}}, {"links": {"/etc/x": "y"}}, {"prefix": "../x"}):
        file.write_text(json.dumps(json.loads(file.read_text()) | content))
        with pytest.raises(UserError, match="found a path that leads out of it"):
            restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    file.write_text("[" * 100_000)
    with pytest.raises(UserError, match="found a damaged backup.json"):
        restore.restore(tmp_path / "backup", tmp_path / "again", force=False)


def test_a_remote_outside_the_project_comes_back_inside(root: Path, tmp_path: Path) -> None:
    (root / "storage").rename(tmp_path / "nas")
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace("../storage", str(tmp_path / "nas")))
    shutil.rmtree(root / ".dvc" / "cache")  # only the remote has the content
    back_up(root, tmp_path / "backup")
    shutil.rmtree(tmp_path / "nas")
    done = restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert any(f"the DVC remote was {tmp_path / 'nas'}" in note for note in done.notes)
    from tasks.dvc.store import open_dvc_store

    with open_dvc_store(tmp_path / "again") as opened:
        assert Path(opened.remote().path) == tmp_path / "again" / "dvc-storage" / "files" / "md5"


def track_with_dvc(root: Path, *names: str) -> None:
    """Make a small project of these files and folders, and let DVC track them, as `dvc add` does."""
    shutil.copy(night_project.ROOT / "params.yaml", root)
    night_project.git(root, "init", "-q")
    with Repo.init(str(root)) as repo:
        for name in names:
            repo.add(str(root / name))
    night_project.git(root, "add", "-A")
    night_project.git(root, "commit", "-q", "-m", "first")


def test_changes_that_dvc_did_not_record_yet_come_back(tmp_path: Path) -> None:
    root = tmp_path / "small"
    (root / "raw").mkdir(parents=True)
    for name in ("raw/a.csv", "grown.csv", "gone.csv"):
        (root / name).write_text("text\nfirst\n")
    track_with_dvc(root, "raw", "grown.csv", "gone.csv")
    (root / "grown.csv").write_text("text\nfirst\nsecond\n")
    (root / "raw" / "new.csv").write_text("text\nthird\n")
    (root / "gone.csv").unlink()
    back_up(root, tmp_path / "backup")
    done = restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert (done.project / "grown.csv").read_text() == "text\nfirst\nsecond\n"
    assert sorted(path.name for path in (done.project / "raw").iterdir()) == ["a.csv", "new.csv"]
    assert (done.project / "gone.csv").read_text() == "text\nfirst\n" and done.notes == []


def test_notes_are_printed_even_if_the_champion_cannot_be_checked(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "params.yaml").write_text("registry: 1\n")
    shutil.copy(store, root)
    back_up(root, tmp_path / "backup")
    assert restore_command.main(tmp_path / "backup", root, force=True) == 2
    printed = capsys.readouterr()
    (aside,) = tmp_path.glob("small-before-restore-*")
    assert printed.out.startswith("Restored: ") and f"what lay there before is in {aside}" in printed.out
    assert "encoder: expected a value, found none" in printed.err


def test_what_the_cache_lacks_is_named_and_what_was_copied_stays(tmp_path: Path) -> None:
    root = tmp_path / "small"
    (root / "raw").mkdir(parents=True)
    for name in ("raw/a.csv", "raw/b.csv", "kept.csv", "gone.csv"):
        (root / name).write_text(f"text\n{name}\n")
    track_with_dvc(root, "raw", "kept.csv", "gone.csv")
    for name in ("kept.csv", "gone.csv", "raw/a.csv"):
        digest = file_md5(root / name)
        (root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).unlink()
    shutil.rmtree(root / "raw")
    (root / "gone.csv").unlink()
    back_up(root, tmp_path / "backup")
    done = restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert done.notes == ["the cache lacks gone.csv, raw: `dvc pull`, or `gleaner run` makes them again"]
    assert (done.project / "kept.csv").exists() and not (done.project / "raw").exists()


def test_a_project_without_commit_git_or_store_is_backed_up(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    shutil.copy(night_project.ROOT / "params.yaml", tmp_path / "small")
    manifest = back_up(tmp_path / "small", tmp_path / "backup")
    assert manifest.left == ["git: the project is in no repository"] and len(manifest.files) == 1
    night_project.git(tmp_path / "small", "init", "-q")
    back_up(tmp_path / "small", tmp_path / "second")
    done = restore.restore(tmp_path / "second", tmp_path / "again", force=False)
    assert (done.project / ".git").is_dir() and check_champion(done.project) == "no version was registered yet"


def test_a_project_in_a_folder_of_its_repository_comes_back_there(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "ml").mkdir(parents=True)
    shutil.copy(night_project.ROOT / "params.yaml", top / "ml")
    (top / "other.txt").write_text("other")
    night_project.git(top, "init", "-q")
    night_project.git(top, "add", "-A")
    night_project.git(top, "commit", "-q", "-m", "first")
    night_project.git(top, "checkout", "-q", "--detach")
    back_up(top / "ml", tmp_path / "backup")
    done = restore.restore(tmp_path / "backup", tmp_path / "again", force=False)
    assert done.project == tmp_path / "again" / "ml" and (tmp_path / "again" / "other.txt").exists()
    assert night_project.git(done.project, "status", "--short") == ""
