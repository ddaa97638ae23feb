"""Runs, versions, bundles and the promotion log on an MLflow tracking server, reached by HTTP alone."""

import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from cli import ui
from flows import prefect_server
from flows.prefect_server import address
from tasks.registry import connect, promotion_log
from tests.support import flow_project
from tests.support.promoting import MODEL, champion, change, check_race, command, make, race, scored

pytestmark = pytest.mark.slow


@pytest.fixture
def tracking(tmp_path: Path, store: Path) -> Iterator[str]:
    """The server's address; its database and its artifacts are in a folder that no project knows."""
    place = tmp_path / "server"
    place.mkdir()
    (place / "mlflow.db").write_bytes(store.read_bytes())
    port = prefect_server.free_port()
    options = ["--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}", "--host", "127.0.0.1", "--port", str(port)]
    kept = ["--artifacts-destination", str(place / "artifacts"), "--workers", "1"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prefect_server.SETTINGS.items():
            patch.setenv(name, value)
        process = prefect_server.spawn(["mlflow", "server", *options, *kept], place / "log")
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not ui.open_page(url):
            assert process.poll() is None and time.monotonic() < deadline, (place / "log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        prefect_server.stop(process)


@pytest.fixture
def root(tmp_path: Path, tracking: str, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of which version 1 is champion and 2 is better."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    root = make(tmp_path / "project")
    change(root)
    for right in (300, 340):
        scored(root, right)
    address(root / ".prefect").parent.mkdir()
    address(root / ".prefect").write_text(prefect_server)
    return root


def test_the_commands_promote_and_roll_back_by_http(root: Path) -> None:
    done = command(root, "promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Promoted: gleaner-demo version 2 is champion, after version 1" in done.stdout and champion(root) == "2"
    back = command(root, "rollback", "--reason", "too slow")
    assert (back.returncode, champion(root)) == (0, "1"), back.stdout + back.stderr
    told = command(root, "history")
    assert told.returncode == 0 and "too slow" in told.stdout
    entries = promotion_log.read(connect(root), MODEL).entries
    assert [(one.action, one.version) for one in entries] == [("initial", "1"), ("promote", "2"), ("rollback", "1")]
    assert not (root / "mlflow.db").exists() and not (root / "mlruns").exists()


def test_two_promoters_by_http_have_one_winner_each(
    tmp_path: Path, tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    root = make(tmp_path / "project")
    for right in range(100, 350, 50):
        scored(root, right)
    check_race(root, 2, 5, race(root, 2, 5))


def test_a_training_registers_there_and_the_version_serves_from_there(
    tmp_path: Path, tracking: str, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flow_project.make(tmp_path / "project")
    address(root / ".prefect").parent.mkdir()
    address(root / ".prefect").write_text(prefect_server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    done = command(root, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Registered: gleaner-demo version 1 (challenger, champion)" in done.stdout
    assert tracking not in done.stdout  # MLflow's own lines
    monkeypatch.chdir(tmp_path)  # nothing of the project is in reach
    mlflow.set_tracking_uri(tracking)
    answers = mlflow.pyfunc.load_model("models:/gleaner-demo@champion").predict(pd.DataFrame({"text": ["my money"]}))
    assert answers["label"].tolist() == ["refund"] and answers["confidence"].min() > 0.9
