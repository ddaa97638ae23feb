"""A version that waited for approval and was not answered in time: it says so, once to people, and may wait anew."""

import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from cli import explain_version, history
from flows import retrain
from flows.outcomes.night import Night
from flows.outcomes.promotion import lapsed_lines, waiting_lines
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import notify, registry
from tasks.registry import lookup, retirement
from tests.support.promoting import (
    MODEL,
    approve,
    champion_version,
    promote,
    read_ledger,
    register_scored,
    set_limits,
    start_project,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    """Params that require approval, after a first champion that needed none."""
    set_limits(root)
    register_scored(root, 300)
    return set_limits(root, approval="required")


def end_the_time_of_requests(patch: pytest.MonkeyPatch) -> None:
    """Let the clock of the store stand 15 days later for every entry that is appended from now on."""
    from mlflow.store.model_registry import sqlalchemy_store

    later = datetime.now(UTC) + timedelta(days=15)
    patch.setattr(sqlalchemy_store, "get_current_time_millis", lambda: int(later.timestamp() * 1000))

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(later.timestamp(), UTC)

    for module in (
        "tasks.approve",
        "tasks.promote",
        "tasks.registry.champion_alias",
        "cli.history",
        "cli.promotion_record",
    ):
        patch.setattr(f"{module}.datetime", Later)


def test_after_its_time_a_version_has_to_be_promoted_anew(
    root: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 340)
    promote(root, params)
    end_the_time_of_requests(monkeypatch)
    with pytest.raises(
        UserError, match="its time ended on .* UTC; `gleaner promote --version 2` decides anew"
    ) as error:
        approve(root, params, "2")
    assert "\n" not in str(error.value) and waiting_lines(root, params) == [] and champion_version(root) == "1"
    explain_version.main(root, "2", False)
    assert "approval: not approved by " in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "200")
    history.main(root, None)
    assert capsys.readouterr().out.count("awaiting approval, lapsed") == 1
    assert promote(root, params).outcome == "waiting" and approve(root, params, "2").done
    assert len([entry for entry in read_ledger(root).entries if entry.is_judgement]) == 1


def test_the_first_night_after_its_time_says_that_nobody_answered(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    deadline, day = read_ledger(root).entries[-1].deadline, timedelta(days=1)
    assert lapsed_lines(root, params, deadline - 2 * day, deadline - day) == []
    (line,) = lapsed_lines(root, params, deadline - day, deadline)
    assert line.startswith(f"version 2 waited for approval until {deadline:%Y-%m-%d %H:%M} UTC, and nobody answered; ")
    assert line.endswith("`gleaner promote --version 2` decides anew")
    assert lapsed_lines(root, params, deadline, deadline + day) == []  # once is enough
    retirement.retire_version(lookup.get_version(registry.connect(root), MODEL, "2"), "it learned from a person")
    assert lapsed_lines(root, params, deadline - day, deadline) == []


def test_a_night_says_it_and_the_night_after_it_does_not(
    root: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_scored(root, 340)
    promote(root, set_limits(root, approval_days=0.00001))  # less than a second
    time.sleep(1)
    monkeypatch.setattr(retrain, "run_steps", lambda *_: "skipped")
    sent: list[tuple[set[str], str, str]] = []

    def send(_settings: object, _options: object, events: set[str], title: str, body: str) -> list[str]:
        sent.append((events, title, body))
        return []

    monkeypatch.setattr(notify, "send_messages", send)
    for _ in range(2):
        retrain.run_recorded(root, params, Night(datetime.now(UTC)), force=False)
    (events, title, body), after = sent
    assert events == {"skipped", "waiting"} and title == f"{MODEL}: skipped, lapsed"
    assert "version 2 waited for approval until" in body
    assert after == ({"skipped"}, f"{MODEL}: skipped", "")


def test_an_answer_in_time_leaves_nothing_to_say(root: Path, params: Params) -> None:
    register_scored(root, 340)
    promote(root, params)
    approve(root, params, "2", reject=True)
    deadline = read_ledger(root).entries[1].deadline
    assert lapsed_lines(root, params, deadline - timedelta(days=1), deadline) == []
