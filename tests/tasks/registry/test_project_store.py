"""The store in a project: moved, copied, restored, deleted, emptied, damaged, and made by two processes at once."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry
from tasks.registry import artifact_paths, bundles, lookup, project_store
from tests.support.promoting import (
    MODEL,
    champion_version,
    logged_actions,
    promote,
    register_scored,
    set_limits,
    start_project,
)

OPEN_STORE = "import sys; from pathlib import Path; from tasks import registry; registry.connect(Path(sys.argv[1]))"


@pytest.fixture
def shop(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a champion and a better challenger, which nobody has compared yet."""
    root = start_project(tmp_path, store, monkeypatch)
    set_limits(root, bootstrap=1000, confidence=0.6)
    register_scored(root, 300)
    register_scored(root, 380)
    return root


def test_the_folder_of_artifacts_is_its_owners_while_another_thread_has_the_umask_at_0(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        project_store.make_artifacts_folder(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "mlruns").stat().st_mode & 0o777 == 0o700


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of each file of a project by its path, without the lock file, which is empty."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def paths_in_database(root: Path) -> list[str]:
    """Every path of a run's or version's artifacts in the database; an entry of the promotion log has none."""
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        return [
            value
            for table, columns in artifact_paths.COLUMNS.items()
            for column in columns
            for (value,) in connection.execute(f"SELECT {column} FROM {table}")
            if value and table != "experiments" and not value.startswith("models:/")
        ]


def test_a_project_that_was_moved_promotes_and_says_once_that_it_moved(
    shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "a new place" / "shop%"
    moved.parent.mkdir()
    shop.rename(moved)
    capfd.readouterr()
    assert promote(moved, set_limits(moved)).outcome == "promoted"
    assert champion_version(moved) == "2" and not shop.exists()
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("mlflow.db: ")]
    assert lines == [f"mlflow.db: the project was in {shop} before; 8 paths of artifacts lead to this folder now"]
    assert all(value.startswith((moved / "mlruns").as_uri()) for value in paths_in_database(moved))


def test_a_copy_writes_nothing_into_the_original(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop, copy)
    before = digests(shop)
    assert promote(copy, set_limits(copy)).outcome == "promoted"
    assert register_scored(copy, 390) == "3"
    assert digests(shop) == before
    assert champion_version(shop) == "1" and champion_version(copy) == "2"
    assert logged_actions(shop) == [("initial", "1")]


def test_a_copy_without_its_artifacts_does_not_write_into_the_original_either(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop, copy, ignore=shutil.ignore_patterns("mlruns"))
    before = digests(shop)
    register_scored(copy, 390)
    assert digests(shop) == before and list((copy / "mlruns").rglob("model.onnx"))
    with pytest.raises(UserError, match=f"{MODEL} version 1: expected its bundle among its artifacts"):
        promote(copy, set_limits(copy), "3")


def test_artifacts_that_the_user_keeps_elsewhere_stay_there(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    location = tmp_path / "large disk" / "mlruns" / "gleaner"
    registry.connect(root).create_experiment("gleaner", artifact_location=location.as_uri())
    location.mkdir(parents=True)
    capfd.readouterr()
    register_scored(root, 300)
    assert list(location.rglob("model.onnx")) and "mlflow.db" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_version_that_mlflow_logged_is_loaded_after_a_move(
    project: Path, local: Params, opened: registry.Run, tmp_path: Path
) -> None:
    registered = registry.register_or_reuse(project, local, opened)
    moved = tmp_path / "moved"
    shutil.copytree(project, moved)
    shutil.rmtree(project / "mlruns")
    version = registry.find_version(moved, local, None)
    assert bundles.fetch_bundle(version, tmp_path / "fetched").is_dir()
    served = mlflow.pyfunc.load_model(f"models:/{registered.model}/{registered.number}")
    assert served.predict(pd.DataFrame({"text": ["money"]}))["label"].tolist() == ["refund"]


def empty(database: Path) -> None:
    """Leave a file of no bytes."""
    database.write_bytes(b"")


def make_anew(database: Path) -> None:
    """Put a database in its place that MLflow made and nobody used."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM experiments WHERE experiment_id != 0")


@pytest.mark.parametrize("lose", [Path.unlink, empty, make_anew])
def test_a_lost_store_beside_its_artifacts_is_told_and_no_other_is_begun(shop: Path, lose, capsys) -> None:
    lose(shop / "mlflow.db")
    before = digests(shop)
    message = (
        r"mlflow\.db: expected the registry that mlruns/ and \.dvc/tmp/gleaner_registry belong to, found .*restore"
    )
    params = set_limits(shop)
    for look in (lambda: registry.connect(shop), lambda: register_scored(shop, 300)):
        with pytest.raises(UserError, match=message) as raised:
            look()
        assert "\n" not in str(raised.value)
    assert digests(shop) == before
    if lose is Path.unlink:
        with pytest.raises(UserError, match=message):
            lookup.find_version(shop, params, None)


def test_a_lost_store_is_told_even_if_its_artifacts_are_lost_too(shop: Path) -> None:
    (shop / "mlflow.db").unlink()
    shutil.rmtree(shop / "mlruns")
    with pytest.raises(UserError, match="expected the registry that .dvc/tmp/gleaner_registry belong to, found none"):
        registry.connect(shop)


def test_what_the_message_advises_is_enough_for_a_new_registry(shop: Path) -> None:
    (shop / "mlflow.db").unlink()
    shutil.rmtree(shop / "mlruns")
    (shop / project_store.MARKER).unlink()
    project_store.require_not_lost(shop)


def test_a_file_that_is_no_database_is_one_line(shop: Path) -> None:
    (shop / "mlflow.db").write_text("no database, but as long as the head of one would be at the least\n" * 9)
    with pytest.raises(UserError, match="writable, found: file is not a database; restore"):
        registry.connect(shop)


def test_a_clone_is_warned_that_its_registry_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "arrivals").mkdir()
    (tmp_path / "arrivals" / "2026-01-01T02-00-00.parquet.dvc").write_text("outs: []\n")
    project_store.warn_of_earlier_data(tmp_path)
    warning = capfd.readouterr().err
    assert warning.startswith("warning: mlflow.db: a registry begins here with version 1, though there is data in arr")
    assert warning.count("\n") == 1


@pytest.mark.parametrize("name", ["../../x", "..", ".", "/tmp/x", "a/../../../x"])
def test_an_experiment_whose_name_leads_out_of_the_project_is_refused(shop: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"registry\.experiment: expected a name that is no path out of mlruns/"):
        registry.experiment_id(registry.connect(shop), shop, name)


@pytest.mark.slow
def test_two_processes_that_make_the_store_at_once_both_succeed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    command = [sys.executable, "-c", OPEN_STORE, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors


def test_a_moved_store_that_cannot_be_written_is_a_users_error(shop: Path, tmp_path: Path) -> None:
    moved = shop.rename(tmp_path / "elsewhere")
    with closing(sqlite3.connect(moved / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TRIGGER no BEFORE UPDATE ON experiments BEGIN SELECT RAISE(ABORT, 'read-only'); END")
    with pytest.raises(UserError, match="expected MLflow's database, readable and writable, found: read-only"):
        registry.connect(moved)
