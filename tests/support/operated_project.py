"""A project as an operator looks after it: git, DVC with a remote, an inbox, arrivals, and a registered champion."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import night_project, promoting, refreshing
from tests.support.night_project import drop_file, git, to_csv

SECRET = "my name is Ada Byron and my refund is late"  # the row of one person
ARRIVED = [(SECRET, "refund"), ("the parcel went to my neighbour", "delivery")]
WORDS = ["money", "parcel"]


def make_operated_project(root: Path, store: Path, **sections: Any) -> Path:
    """Make the project: two rows have arrived, one file waits in the inbox, and version 1 is champion."""
    root.mkdir(parents=True)
    night_project.make_project(root, **sections)
    shutil.copy(promoting.ROOT / "constraints.txt", root)
    shutil.copy(store, root)
    with (root / ".dvc" / "config").open("a") as config:
        config.write("[core]\n    remote = near\n    analytics = false\n['remote \"near\"']\n    url = ../storage\n")
    with (root / ".gitignore").open("a") as ignored:
        ignored.write("/storage/\n/mlruns/\n/mlflow.db*\n/.prefect/\n/made/\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a remote")
    drop_file(root, "monday.csv", to_csv(ARRIVED, "text", "label"))
    refreshing.take_in_texts(root)
    night_project.run_ingest(root)
    register(root)
    drop_file(root, "tuesday.csv", to_csv([("is anybody there", "delivery")], "text", "label"))
    return root


def register(root: Path) -> str:
    """Register a version of the ingested tables, push its data to the remote, and return its number."""
    answer = dict(zip(WORDS, ["refund", "delivery"], strict=True))
    number = promoting.register_answers(root, answer, ["delivery", "refund"])
    shutil.copytree(root / ".dvc" / "cache" / "files", root / "storage" / "files", dirs_exist_ok=True)
    return number


@contextmanager
def operated_project(folder: Path, store: Path) -> Iterator[Path]:
    """The project in a new folder, for the block."""
    with pytest.MonkeyPatch.context() as patch, refreshing.run_without_flow(patch):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("PREFECT_HOME", str(folder / "prefect"))
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield make_operated_project(folder / "project", store)


def copy_to(source: Path, target: Path) -> Path:
    """A copy of a project whose database names the copy's own folders."""
    from tasks.registry.artifact_paths import move_artifact_paths

    shutil.copytree(source, target, symlinks=True)
    shutil.rmtree(target / ".dvc" / "tmp", ignore_errors=True)
    move_artifact_paths(target / "mlflow.db", source, target)
    return target


def files_with(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold this text as UTF-8, uncompressed, or in a column of a Parquet table."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix() and holds(path, text)
    )


def holds(path: Path, text: str) -> bool:
    """Whether a file holds the text."""
    import pandas as pd

    content = path.read_bytes()
    if content.startswith(b"PAR1"):
        table = pd.read_parquet(path)
        return any(table[name].astype(str).str.contains(text, regex=False).any() for name in table.columns)
    return text.encode() in content


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Path]:
    """The project that each test copies."""
    with operated_project(tmp_path_factory.mktemp("made"), store) as root:
        yield root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A project of the test's own."""
    return copy_to(made, tmp_path / "project")
