"""Whose answers `gleaner predict` and `gleaner explain` give: the champion's, or what the user names."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.served_bundle import WORKSPACE, choose_bundle
from pipeline.core.errors import UserError
from pipeline.models import classifier
from tasks import registry
from tests.support.promoting import MODEL, ROOT, register_version, set_limits, start_project
from tests.support.word_bundle import build

WITHOUT_MLFLOW = """
import sys
from pathlib import Path
from cli.served_bundle import choose_bundle
print(choose_bundle(Path.cwd(), None, None).version, sorted({"mlflow", "prefect", "pandas"} & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A command sets variables for its process; other tests have those of before."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an empty registry, and the bundle of a last training, which may have been refused."""
    root = start_project(tmp_path, store, monkeypatch)
    set_limits(root)
    build(root / WORKSPACE, {"money": [9, 0]}, ["refused", "delivery"])
    return root


def label_of(folder: Path) -> str:
    """The label that the bundle in a folder gives to the text t0."""
    model = classifier.load(folder)
    return model.labels[int(model.predict(["t0"]).argmax())]


def test_the_champion_answers_unless_another_is_named(root: Path, tmp_path: Path) -> None:
    register_version(root, ["t0"], [])
    register_version(root, [], ["t0"])
    register_version(root, ["t0"], [])
    served = choose_bundle(root, None, None)
    assert (served.version, served.note) == ("1", f"answers of {MODEL} version 1 (champion)")
    assert label_of(served.folder) == "delivery" and label_of(choose_bundle(root, "2", None).folder) == "refund"
    assert choose_bundle(root, "challenger", None).note == f"answers of {MODEL} version 3 (challenger)"
    named = choose_bundle(root, None, root / WORKSPACE)
    assert (named.version, named.note) == (None, "")
    command = [sys.executable, "-c", WITHOUT_MLFLOW]
    done = subprocess.run(
        command, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 []\n"

    with pytest.raises(UserError, match=r"expected one of its versions 1 \(champion\), 2, 3 \(challenger\), found 9"):
        choose_bundle(root, "9", None)
    with pytest.raises(UserError, match="expected one of them, found both"):
        choose_bundle(root, "2", root / WORKSPACE)
    client = registry.connect(root)
    client.delete_model_version(MODEL, "1")
    with pytest.raises(UserError, match=r"expected a champion, found none among its versions 2, 3 .*; --bundle FOLDER"):
        choose_bundle(root, None, None)

    moved = tmp_path / "elsewhere"
    root.rename(moved)
    assert label_of(choose_bundle(moved, "2", None).folder) == "refund"
    in_place = choose_bundle(moved, "2", None).folder
    assert in_place.is_relative_to(moved / "mlruns")
    shutil.rmtree(in_place)
    build(in_place, {"t0": [9, 0]}, ["delivery", "refund"])
    with pytest.raises(UserError, match="version 2: expected the MANIFEST.json that it was registered with"):
        choose_bundle(moved, "2", None)


def test_where_nothing_is_registered_the_last_training_answers_and_nothing_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "mlflow.db").unlink()
    before = sorted(root.rglob("*"))
    served = choose_bundle(root, None, None)
    assert (served.folder, served.version) == (root / WORKSPACE, None)
    assert served.note == f"answers of {WORKSPACE}, the last training's, as no version of {MODEL} is registered"
    with pytest.raises(UserError, match="--version: expected a registered version, found none"):
        choose_bundle(root, "champion", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////nowhere/mlflow.db")
    with pytest.raises(UserError, match=r"found no file /nowhere/mlflow\.db; .*; --bundle FOLDER"):
        choose_bundle(root, None, None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"expected an MLflow server .* \(connection refused\); .*; --bundle FOLDER"):
        choose_bundle(root, None, None)
    assert sorted(root.rglob("*")) == before
    shutil.rmtree(root / "data")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(
        UserError, match="data/export/bundle: expected a trained classifier, as no version of .* is reg"
    ):
        choose_bundle(root, None, None)
