"""Fixtures of the registry's tests: a project with a finished training, its params, and an open MLflow run."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.core.params import Params, to_yaml
from tasks import registry
from tests.support.registering import LOCK, git
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a finished training: bundle, metrics, lock file, params."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    root = tmp_path / "project"
    build(root / "data" / "export" / "bundle", {"money": [5, 0], "parcel": [0, 5]}, ["refund", "delivery"])
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(store, root)
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (root / "dvc.lock").write_text(to_yaml(LOCK))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "data" / "evaluate").mkdir()
    measured = {"accuracy": 0.5, "fine": True, "note": "text", "absent": None, "class": {"what's up?": {"f1": 1}}}
    (root / "data" / "evaluate" / "metrics.json").write_text(json.dumps(measured))
    git(root, "init", "-q")
    git(root, "add", "dvc.yaml", "params.yaml", "constraints.txt", "pipeline")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an empty MLflow store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(store, tmp_path)
    return tmp_path


@pytest.fixture
def local(params: Callable[..., Params]) -> Params:
    """Params that push nothing, because the lock file names data that does not exist."""
    return params({"registry": {"push": False}})


@pytest.fixture
def opened(project: Path, local: Params) -> Iterator[registry.Run]:
    """An open MLflow run of the project."""
    with registry.open_run(project, local, "a run", "flow-1") as run:
        yield run
