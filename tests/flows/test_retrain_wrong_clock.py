"""A night whose clock was a year ahead hides nothing that arrives after it, even once its file is withdrawn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.outcomes.night import Night
from flows.retrain import gather_situation
from pipeline.labelling import arrivals
from tasks import registry
from tasks.registry import trainings
from tests.support import night_project as project
from tests.support.refreshing import NIGHT, run_without_flow, take_in_texts


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with run_without_flow(monkeypatch):
        yield


def arrive(root: Path, text: str, days: float) -> None:
    """Take in one labelled text, so many days after the first night."""
    project.drop_file(root, "a.csv", project.to_csv([(text, "refund")], "text", "label"))
    assert take_in_texts(root, days).new == 1


def train(root: Path) -> None:
    """Record a training that reads all arrivals and comes to its end."""
    params = project.project_params(root)
    with registry.open_run(root, params, "train", "flow") as opened:
        trainings.begin_training(opened, arrivals.file_digests(params.ingest, root))
        trainings.finish_training(opened)


def unread_texts(root: Path) -> tuple[int, tuple[str, ...]]:
    """What a night counts as new: labelled rows, and the files that they are in."""
    night = Night(NIGHT)
    situation = gather_situation(root, project.project_params(root), night, None, False)
    assert situation.new_rows == situation.new_labelled
    return situation.new_labelled, night.unread_arrivals


def test_a_night_with_its_clock_ahead_hides_no_later_arrivals(tmp_path: Path, store: Path) -> None:
    root = project.make_project(tmp_path)
    shutil.copy(store, root)
    arrive(root, "the clock is a year ahead", 365)
    assert unread_texts(root) == (1, ("2027-11-24T02-00-00.parquet",))
    train(root)
    assert unread_texts(root) == (0, ())
    arrive(root, "the next day", 1)
    assert unread_texts(root) == (1, ("2027-11-24T02-00-01.parquet",))
    train(root)
    for path in (root / "arrivals").iterdir():  # both are withdrawn
        path.unlink()
    arrive(root, "the day after", 2)
    assert unread_texts(root) == (1, ("2026-11-26T02-00-00.parquet",))
