"""Forget and DVC: what only DVC keeps stays, and no other command is at work."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cli import forget as command
from pipeline.core import table
from pipeline.labelling import arrivals
from tasks import registry
from tasks.dvc.arrivals import restore_arrivals
from tasks.dvc.repository import open_repo
from tasks.registry import trainings
from tests.support.night_project import project_params, to_csv
from tests.support.operated_project import ARRIVED, SECRET, files_with, operated_project

pytestmark = pytest.mark.slow

PERSON = table.row_id("raw", SECRET)
OTHER = "a row of somebody else"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Path]:
    """The project that each test copies; a folder of it is tracked by DVC, and the person's row is in it."""
    with operated_project(tmp_path_factory.mktemp("made"), store) as root:
        (root / "kept").mkdir()
        (root / "kept" / "rows.csv").write_text(to_csv([(SECRET, "refund"), (OTHER, "delivery")], "text", "label"))
        with open_repo(root) as repo:
            repo.add([str(root / "kept")])
        yield root


def forget(root: Path, dry_run: bool = False) -> int:
    """Run the command for the person, and return its exit code."""
    return command.main(root, [PERSON], None, False, dry_run)


def arrival(root: Path) -> Path:
    """The pointer's file."""
    (pointer,) = (root / "arrivals").glob("*.parquet.dvc")
    return pointer.with_suffix("")


def test_arrivals_that_only_dvc_has_keep_the_rows_of_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrival(root).unlink()
    assert forget(root, dry_run=True) == 2 and not arrival(root).exists()
    assert "found none; `gleaner run` or `dvc pull arrivals/*.dvc` brings it back" in capsys.readouterr().err
    forget(root)
    assert list(pd.read_parquet(arrival(root))["text"]) == [ARRIVED[1][0]]
    arrival(root).unlink()
    assert restore_arrivals(root, project_params(root)) == [arrival(root)]


def test_arrivals_that_were_changed_stop_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrival(root).write_bytes(b"")
    before = files_with(root, SECRET)
    assert forget(root) == 2 and files_with(root, SECRET) == before
    assert "expected the file that DVC keeps, found another" in capsys.readouterr().err


@pytest.mark.parametrize("is_changed", [True, False])
def test_data_that_dvc_tracks_and_that_is_not_here_is_left(
    root: Path, is_changed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = root / "kept" / "rows.csv"
    rows.unlink()
    if is_changed:
        rows.write_text(to_csv([], "text", "label"))
    assert forget(root) == 1
    assert "kept/rows.csv: DVC keeps it with the rows, and it is not here" in capsys.readouterr().out
    with open_repo(root) as repo:
        repo.checkout([str(root / "kept")], force=True)
    assert OTHER in rows.read_text()
    assert forget(root) == 1
    assert "kept/rows.csv: record 2; it is yours" in capsys.readouterr().out
    rows.write_text(to_csv([(OTHER, "delivery")], "text", "label"))
    with open_repo(root) as repo:
        repo.add([str(root / "kept")])
    assert forget(root) == 0 and files_with(root, SECRET) == []


def test_it_refuses_while_a_stage_is_at_work(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_with(root, SECRET)
    with subprocess.Popen([sys.executable, "-c", "input()", "repro", "train"], stdin=subprocess.PIPE) as process:
        users = {
            "write": {str(root / "data" / "train"): {"pid": process.pid, "cmd": "/bin/dvc repro train"}},
            "read": {},
        }
        (root / ".dvc" / "tmp").mkdir(exist_ok=True)
        (root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(users))
        assert forget(root) == 2 and files_with(root, SECRET) == before
        assert f"found `/bin/dvc repro train` (process {process.pid}); run again when" in capsys.readouterr().err
        forget(root, dry_run=True)
        process.communicate()
    forget(root)
    assert set(files_with(root, SECRET)) < set(before)


def test_arrivals_that_trainings_have_read_stay_read(root: Path) -> None:
    params = project_params(root)
    with registry.open_run(root, params, "train", "flow") as opened:
        trainings.begin_training(opened, arrivals.file_digests(params.ingest, root))
        trainings.finish_training(opened)
    forget(root)
    assert arrivals.usable_rows(params.ingest, root)["text"].tolist() == [ARRIVED[1][0]]
    assert arrivals.unread_rows(trainings.find_read_arrivals(root, params), params.ingest, root).empty
