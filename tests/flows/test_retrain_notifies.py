"""A night that fails before it has params or a record is notified, too: else it could fail for weeks unnoticed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.night_lock import night_lock
from tests.support import night_project as project
from tests.support.flow_project import announce_server
from tests.support.hooks import webhook
from tests.support.real_project import run_tool, set_params


@pytest.fixture
def root(tmp_path: Path, prefect_server: str) -> Path:
    root = project.make_project(tmp_path / "shop")
    announce_server(root, prefect_server)
    return root


def misspell_key(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("min_new_rows:", "min_new_row:"))


def break_store(root: Path) -> None:
    (root / "mlflow.db").write_text(
        "this is no database, and it is as long as the head of one would be at the least\n" * 9
    )


def leave_merge_conflict(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages:\n<<<<<<< HEAD\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (misspell_key, 2, "min_new_row"),
        (break_store, 2, "file is not a database"),
        (leave_merge_conflict, 2, "YAML file structure is corrupted"),
    ],
    ids=["params", "store", "dvc.yaml"],
)
def test_a_night_that_cannot_even_begin_is_notified(
    root: Path, damage: Callable[[Path], None], code: int, message: str
) -> None:
    with webhook() as (address, posted):
        set_params(root, notify={"to": [f"json://{address}/x"], "on": ["failed"]})
        damage(root)
        done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == code, done.stdout + done.stderr
    assert [(post["title"].split(": ")[1], post["type"]) for post in posted] == [("failed", "failure")]
    assert message in posted[0]["message"]


@pytest.mark.slow
def test_a_night_that_finds_another_one_at_work_is_notified(root: Path) -> None:
    with webhook() as (address, posted), night_lock(root):
        set_params(root, notify={"to": [f"json://{address}/x"], "on": ["failed"]})
        done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "expected no other night at work here, found process" in posted[0]["message"]
