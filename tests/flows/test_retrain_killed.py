"""kill -9 at every step of a night: what arrived is in a version in the end, once, and the promotion log is whole."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core.params import load_params
from tasks import registry
from tasks.dvc.lock_file import md5_of
from tasks.dvc.store import find_content
from tasks.registry import lookup, nights, promotion_log
from tests.support import killed_nights
from tests.support.flow_project import tool_environment
from tests.support.night_project import git

MODEL = "gleaner-demo"
TEXTS = killed_nights.random_texts(3, 6)
Play = Callable[[int, str | None], dict[str, Any]]


@contextmanager
def night_player(root: Path) -> Iterator[Play]:
    """A function that runs the night of a day, killed at a step or not, and returns its answer."""
    command = [sys.executable, "-m", "tests.support.killed_nights", str(root)]
    with (root / ".prefect" / "nights.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=tool_environment(root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdin and process.stdout

    def play(day: int, step: str | None) -> dict[str, Any]:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"day": day, "step": step}) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline() or "{}")
        assert answer, (root / ".prefect" / "nights.log").read_text()[-4000:]
        return answer

    try:
        yield play
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def texts_of_version(root: Path, number: str) -> list[str]:
    """The training texts of the dvc.lock that a version was registered with."""
    version = lookup.get_version(registry.connect(root), MODEL, number)
    md5 = md5_of(version.lock(), "data/ingest/train.parquet")
    assert md5 is not None
    return pd.read_parquet(find_content(root, "data/ingest/train.parquet", md5))["text"].tolist()


@pytest.mark.slow
def test_nights_that_are_killed_one_step_later_each_time_end_with_one_version_of_what_arrived(
    tmp_path: Path, prefect_server: str
) -> None:
    root = killed_nights.make_project(tmp_path, prefect_server)
    with night_player(root) as play:
        assert play(0, None)["outcome"] == "promoted"
        for name, texts in (("a.csv", TEXTS[:3]), ("b.csv", TEXTS[3:])):
            killed_nights.drop_texts(root, name, texts)
        # A night reaches its step only if it has gone on from what the night before has left.
        for day, step in enumerate(killed_nights.STEPS, 1):
            assert play(day, step) == {"signal": 9}, step
        last = play(len(killed_nights.STEPS) + 1, None)
    assert last["outcome"] == "skipped" and "0 new labelled rows" in last["reason"], last
    check_that_nothing_is_lost_or_doubled(root)


def check_that_nothing_is_lost_or_doubled(root: Path) -> None:
    """Check files, versions and log at the end."""
    client, params = registry.connect(root), load_params(root / "params.yaml")
    assert nights.version_numbers(root, params) == {"1", "2"}
    learned = texts_of_version(root, "2")
    assert [learned.count(text) for text in TEXTS] == [1] * len(TEXTS)
    arrived = pd.concat([pd.read_parquet(path) for path in (root / "arrivals").glob("*.parquet")])
    assert sorted(arrived["text"]) == sorted(TEXTS)
    assert git(root, "status", "--porcelain") in ("", "?? dvc.lock\n")
    taken = (root / "inbox" / "texts" / "taken").iterdir()
    assert sorted(path.name.split("-")[-1] for path in taken) == ["a.csv", "b.csv"]
    ledger = promotion_log.read(client, MODEL)
    assert ledger.faults == ()
    assert [(entry.action, entry.version) for entry in ledger.entries] == [("initial", "1"), ("promote", "2")]
    aliases = client.get_registered_model(MODEL).aliases
    assert {alias: str(number) for alias, number in aliases.items()} == {"challenger": "2", "champion": "2"}
    outcomes = [night["outcome"] for night in nights.all_nights(root, params)]
    assert outcomes == ["promoted", *["crashed"] * len(killed_nights.STEPS), "skipped"]
    assert nights.undecided_challenger(root, params) is None
    assert not nights.is_training_unfinished(root, params)
