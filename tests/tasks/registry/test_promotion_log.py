"""The promotion log in a real MLflow store: rollbacks, history, changed entries, a busy store, two writers at once."""

from pathlib import Path

import mlflow
import pytest

from cli import history
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry
from tasks.registry import lookup, promotion_log
from tests.support.promoting import (
    MODEL,
    champion_version,
    check_race,
    promote,
    race,
    read_ledger,
    register_scored,
    rollback,
    set_limits,
    start_project,
    words,
    write_split,
)


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return start_project(tmp_path, store, monkeypatch)


@pytest.fixture
def params(root: Path) -> Params:
    return set_limits(root)


def test_a_rollback_is_entered_in_the_log(root: Path, params: Params) -> None:
    for right in (300, 340, 390):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    assert champion_version(root) == "3"
    back = rollback(root, params, why="too slow")
    assert (back.done, back.version, back.previous, champion_version(root)) == (True, "2", "3", "2")
    assert read_ledger(root).entries[-1].reason == "too slow"
    assert rollback(root, params).version == "1" and champion_version(root) == "1"
    with pytest.raises(UserError, match="expected a champion before version 1, found none to go back to"):
        rollback(root, params)
    assert rollback(root, params, "3").version == "3" and champion_version(root) == "3"


def test_a_version_that_was_rolled_back_is_promoted_again_only_by_number(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    rollback(root, params, why="angry customers")
    unasked = promote(root, params)
    assert unasked.outcome == "refused" and "was rolled back on" in unasked.message
    assert "(angry customers)" in unasked.message and champion_version(root) == "1"
    named = promote(root, params, "2")
    assert named.outcome == "promoted" and named.reused and champion_version(root) == "2"
    assert len([entry for entry in read_ledger(root).entries if entry.is_judgement]) == 1


def test_only_earlier_champions_can_be_rolled_back_to(root: Path, params: Params) -> None:
    register_scored(root, 300)
    register_scored(root, 310)
    with pytest.raises(UserError, match=r"expected a version that was champion \(1\), found 2"):
        rollback(root, params, "2")
    with pytest.raises(UserError, match="expected another version than 1, which is the champion"):
        rollback(root, params, "1")


def test_history_shows_who_was_champion_on_a_day_and_at_a_time(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register_scored(root, 300)
    register_scored(root, 340)
    promote(root, params)
    first, second = (entry.at for entry in read_ledger(root).entries)
    for at, versions in (
        (f"{first:%Y-%m-%d}", ["1", "2"] if first.date() == second.date() else ["1"]),
        (first.isoformat(), ["1"]),
        (second.isoformat(), ["2"]),
    ):
        assert history.main(root, at) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(",")[0] for line in lines] == [f"version {number}" for number in versions]
        assert all(" UTC (entry " in line for line in lines)
    history.main(root, "2020-01-01")
    assert capsys.readouterr().out == "2020-01-01 00:00:00 UTC: no champion yet\n"
    with pytest.raises(UserError, match="--at: expected a day like 2026-01-31"):
        history.main(root, "yesterday")


def test_without_a_log_there_is_no_history(root: Path, params: Params) -> None:
    with pytest.raises(UserError, match="expected a promotion log, found none"):
        history.main(root, None)


def test_changed_and_deleted_entries_are_reported(
    root: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    for right in (300, 302, 303):
        register_scored(root, right)
        if right > 300:
            promote(root, params)
    client, entries = registry.connect(root), promotion_log.log_name(MODEL)
    content = client.get_model_version(entries, "2").tags[promotion_log.CONTENT]
    client.set_model_version_tag(entries, "2", promotion_log.CONTENT, content.replace("insufficient", "promote"))
    client.delete_model_version(entries, "3")
    register_scored(root, 304)
    promote(root, params)
    assert history.main(root, None) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "entry 2 of the promotion log is not as it was written: somebody changed it" in printed
    assert [entry.number for entry in read_ledger(root).entries] == [1, 2, 4]


def test_a_busy_store_is_retried_and_an_entry_that_was_stored_counts_once(
    root: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_scored(root, 300)
    client = registry.connect(root)
    create, calls = client.create_model_version, []

    def flaky(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise mlflow.MlflowException("(sqlite3.OperationalError) database is locked")
        version = create(*args, **kwargs)  # type: ignore[arg-type]
        if len(calls) == 2:
            raise mlflow.MlflowException("the answer got lost: database is locked")
        return version

    monkeypatch.setattr(client, "create_model_version", flaky)
    entered, ledger_after = promotion_log.append(
        client,
        MODEL,
        promotion_log.draft_entry(
            "refuse", lookup.get_version(client, MODEL, "1").identity, read_ledger(root), "why", "flow"
        ),
    )
    assert len(calls) == 2 and entered.number == 2 and len(ledger_after.entries) == 2


@pytest.mark.slow
def test_twenty_promotions_raced_by_two_processes_have_one_winner_each(root: Path) -> None:
    write_split(root, "test", words("t", 1000))
    for right in range(100, 940, 40):
        register_scored(root, right, rows=1000)
    check_race(root, 2, 21, race(root, 2, 21))
