"""A night that fails before it has params or a record still tells people: else it would fail for weeks unheard."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.night_lock import night_lock
from flows.prefect_server import url_file
from tests.support import night_project as project
from tests.support.hooks import webhook
from tests.support.real_project import change, command


@pytest.fixture
def root(tmp_path: Path, prefect_server: str) -> Path:
    root = project.make_project(tmp_path / "shop")
    url_file(root / ".prefect").parent.mkdir()
    url_file(root / ".prefect").write_text(prefect_server)
    return root


def misspell(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("min_new_rows:", "min_new_row:"))


def break_store(root: Path) -> None:
    (root / "mlflow.db").write_text(
        "this is no database, and it is as long as the head of one would be at the least\n" * 9
    )


def conflict(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages:\n<<<<<<< HEAD\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [(misspell, 2, "min_new_row"), (break_store, 1, "file is not a database"), (conflict, 1, "YAMLSyntaxError: in ")],
    ids=["params", "store", "dvc.yaml"],
)
def test_a_night_that_cannot_even_begin_is_told(root: Path, harm: Callable[[Path], None], code: int, said: str) -> None:
    with webhook() as (place, posted):
        change(root, notify={"to": [f"json://{place}/x"], "on": ["failed"]})
        harm(root)
        done = command(root, "gleaner", "retrain")
    assert done.returncode == code, done.stdout + done.stderr
    assert [(one["title"].split(": ")[1], one["type"]) for one in posted] == [("failed", "failure")]
    assert said in posted[0]["message"]


@pytest.mark.slow
def test_a_night_that_finds_another_one_at_work_is_told(root: Path) -> None:
    with webhook() as (place, posted), night_lock(root):
        change(root, notify={"to": [f"json://{place}/x"], "on": ["failed"]})
        done = command(root, "gleaner", "retrain")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "expected no other night at work here, found process" in posted[0]["message"]
