"""Runs, versions, bundles and the promotion log on an MLflow tracking server, reached only by HTTP."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.models import classifier
from tasks.promote_first import promote_first
from tasks.registry import connect, promotion_log
from tasks.registry.version_bundle import find_bundle
from tests.support import flow_project
from tests.support.flow_project import announce_server
from tests.support.promoting import (
    MODEL,
    approve,
    champion_version,
    check_race,
    logged_actions,
    make_project,
    promote,
    race,
    register_scored,
    run_gleaner,
    set_limits,
    without_prefect,
)
from tests.support.tracking_server import tracking_server

pytestmark = pytest.mark.slow


@pytest.fixture
def tracking(tmp_path: Path, store: Path) -> Iterator[str]:
    """The server's address; its database and its artifacts are in a folder outside every project."""
    with tracking_server(tmp_path / "server", store) as url:
        yield url


@pytest.fixture
def root(tmp_path: Path, tracking: str, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose version 1 is champion and whose version 2 is better."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    root = make_project(tmp_path / "project")
    set_limits(root)
    for right in (300, 340):
        register_scored(root, right)
    announce_server(root, prefect_server)
    return root


def test_the_commands_promote_and_roll_back_by_http(root: Path) -> None:
    done = run_gleaner(root, "promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "Promoted: gleaner-demo version 2 is champion, after version 1" in done.stdout and champion_version(root) == "2"
    )
    back = run_gleaner(root, "rollback", "--reason", "too slow")
    assert (back.returncode, champion_version(root)) == (0, "1"), back.stdout + back.stderr
    shown = run_gleaner(root, "history")
    assert shown.returncode == 0 and "too slow" in shown.stdout
    entries = promotion_log.read(connect(root), MODEL).entries
    assert [(entry.action, entry.version) for entry in entries] == [
        ("initial", "1"),
        ("promote", "2"),
        ("rollback", "1"),
    ]
    made = [find_bundle(root, MODEL) for _ in range(2)]  # a download, and its copy
    assert made[0] == made[1] and made[0] is not None and made[0].number == "1"
    assert made[0].folder.parent == root / "data" / "scratch" / "bundles" and classifier.load(made[0].folder)
    assert list(made[0].folder.parent.iterdir()) == [made[0].folder]
    assert not (root / "mlflow.db").exists() and not (root / "mlruns").exists()


def test_an_approval_and_a_removed_champion_by_http(root: Path) -> None:
    params = set_limits(root, approval="required")
    assert promote(root, params).outcome == "waiting"
    assert approve(root, params, "2", reject=True).done
    assert promote(root, params, "2").outcome == "waiting"
    connect(root).delete_model_version(MODEL, "1")
    with pytest.raises(UserError, match="and then the champion was removed"):
        approve(root, params, "2")
    assert without_prefect(promote_first)(root, params, "2", "flow").outcome == "waiting"
    assert approve(root, params, "2").done and champion_version(root) == "2"
    assert [action for action, _ in logged_actions(root)] == [
        "initial",
        "awaiting approval",
        "reject",
        "awaiting approval",
        "removed",
        "awaiting approval",
        "approve",
    ]


def test_promotions_raced_over_http_have_one_winner_each(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    root = make_project(tmp_path / "project")
    for right in range(100, 350, 50):
        register_scored(root, right)
    check_race(root, 2, 5, race(root, 2, 5))


def test_a_training_registers_there_and_the_version_serves_from_there(
    tmp_path: Path, tracking: str, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flow_project.make_project(tmp_path / "project")
    announce_server(root, prefect_server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    done = run_gleaner(root, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Registered: gleaner-demo version 1 (challenger, champion)" in done.stdout
    assert tracking not in done.stdout  # MLflow prints it otherwise
    monkeypatch.chdir(tmp_path)  # outside the project
    mlflow.set_tracking_uri(tracking)
    answers = mlflow.pyfunc.load_model("models:/gleaner-demo@champion").predict(pd.DataFrame({"text": ["my money"]}))
    assert answers["label"].tolist() == ["refund"] and answers["confidence"].min() > 0.9
