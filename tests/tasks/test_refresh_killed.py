"""A kill between any two steps of taking texts in loses nothing and doubles nothing."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.sources import arrival_files
from tasks import inbox
from tasks import refresh as tasks
from tasks.refresh import IntakeCounts
from tests.support import night_project as project
from tests.support.refreshing import NEW, run_without_flow, take_in_texts


@pytest.fixture(autouse=True)
def outside_a_flow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with run_without_flow(monkeypatch):
        yield


class Killed(BaseException):
    """Stands for kill -9 in the middle of a task: nothing after it runs."""


STEPS = ["write_set_aside", "arrival_files.write", "track_arrivals", "commit_pointers", "clear_inbox", "move_file"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_any_two_steps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    root = project.make_project(tmp_path)
    project.drop_file(root, "a.csv", project.to_csv([*NEW, ("bad", "complaint")], "text", "label"))
    project.drop_file(root, "b.csv", project.to_csv([("another one", "refund")], "text", "label"))
    module: Any = {"arrival_files.write": arrival_files, "move_file": inbox}.get(step, tasks)
    name = step.removeprefix("arrival_files.")
    real = getattr(module, name)
    calls = []

    def die(*given: object, **named: object) -> object:
        calls.append(1)
        if step == "track_arrivals" and len(calls) == 1:  # the first call finds nothing to do
            return real(*given, **named)
        if when == "after":
            real(*given, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            take_in_texts(root)
    take_in_texts(root, days=1)
    rows = pd.concat([pd.read_parquet(path) for path in (root / "arrivals").glob("*.parquet")])
    assert sorted(rows["text"]) == sorted([*(text for text, _ in NEW), "another one"])
    assert all(path.with_name(path.name + ".dvc").exists() for path in (root / "arrivals").glob("*.parquet"))
    assert not project.git(root, "status", "--porcelain")
    assert len(list((root / "inbox" / "texts" / "set-aside").glob("rows-*.csv"))) == 1
    assert sorted(path.name[20:] for path in (root / "inbox" / "texts" / "taken").iterdir()) == ["a.csv", "b.csv"]
    assert take_in_texts(root, days=2) == IntakeCounts()


def test_a_kill_in_the_middle_of_writing_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project.make_project(tmp_path)
    project.drop_file(root, "a.csv", project.to_csv(NEW, "text", "label"))

    def die(*_: object, **__: object) -> None:
        (part,) = (root / "arrivals").glob(".*.part")
        part.write_bytes(part.read_bytes()[:100])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(Killed):
            take_in_texts(root)
    assert take_in_texts(root, days=1).new == len(NEW)
    names = sorted(path.name for path in (root / "arrivals").iterdir())
    assert names == ["2026-11-25T02-00-00.parquet", "2026-11-25T02-00-00.parquet.dvc"]
    assert not project.git(root, "status", "--porcelain")
