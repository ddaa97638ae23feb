"""The promotion log read as a whole: which entry takes effect, who was champion when, and what uses up a test set."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.policies.promotion.entry import (
    AWAITING,
    Entry,
    VerdictRecord,
    VersionIdentity,
    entry_from_json,
    entry_to_json,
)
from pipeline.policies.promotion.ledger import Ledger, build_ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, action: Any, version: str, expected: str | None, verdict: VerdictRecord | None = None) -> Entry:
    at = START + timedelta(hours=number)
    return Entry(number, at, action, version, expected, "why", "me", "flow", f"attempt {number}", verdict)


def record(after: int, key: str = "k", status: Any = "promote", rows: tuple[str, ...] = ("1", "2")) -> VerdictRecord:
    return VerdictRecord(key, status, "artifact", "rows", rows, 0.5, 1, after, "accuracy", 0.8, 0.9, 0.01, 0.0)


def path_of(ledger: Ledger) -> list[str]:
    return [made.version for made in ledger.rollback_path]


def version(number: str, run: str = "run", registered: datetime = START) -> VersionIdentity:
    return VersionIdentity(number, run, None, registered)


FIRST = entry(1, "initial", "1", None)


def test_the_first_of_two_that_expect_the_same_champion_wins() -> None:
    two, three = entry(2, "promote", "2", "1", record(0)), entry(3, "promote", "3", "1", record(0))
    ledger = build_ledger([three, FIRST, two])
    assert (ledger.champion, ledger.took_effect(two), ledger.took_effect(three)) == ("2", True, False)
    assert [entry.number for entry in ledger.entries] == [1, 2, 3] and ledger.champion_entry == 2


def test_of_two_first_versions_one_is_champion() -> None:
    assert build_ledger([FIRST, entry(2, "initial", "2", None)]).champion == "1"


def test_a_judgement_that_did_not_know_of_another_takes_no_effect() -> None:
    refused = entry(2, "refuse", "2", "1", record(0, "a", "refuse"))
    late, again = entry(3, "promote", "3", "1", record(0, "b")), entry(4, "promote", "3", "1", record(3, "b"))
    before = build_ledger([FIRST, refused, late])
    assert before.champion == "1" and before.find_judgement("b") is None
    ledger = build_ledger([FIRST, refused, late, again])
    assert ledger.champion == "3"
    assert ledger.find_judgement("b") == again and ledger.find_judgement("a") == refused
    assert ledger.count_judgements(("1", "2"), 0.5) == 3 and ledger.count_judgements(("7", "8"), 0.5) == 0


def test_a_repeated_verdict_is_no_judgement() -> None:
    repeated = replace(record(0), again=2)
    entries = [FIRST, entry(2, "promote", "2", "1", record(0)), entry(3, "rollback", "1", "2")]
    ledger = build_ledger([*entries, entry(4, "promote", "2", "1", repeated)])
    assert ledger.champion == "2" and ledger.count_judgements(("1", "2"), 0.5) == 1 and ledger.last_judgement == 2


def test_an_entry_that_was_sent_twice_counts_once() -> None:
    two = entry(2, "refuse", "2", "1", record(0, status="refuse"))
    assert build_ledger([FIRST, two, replace(two, number=3)]).count_judgements(("1", "2"), 0.5) == 1


def test_rolling_back_twice_goes_two_champions_back() -> None:
    promotions = [FIRST, entry(2, "promote", "2", "1", record(0)), entry(3, "promote", "3", "2", record(2))]
    once = build_ledger([*promotions, entry(4, "rollback", "2", "3")])
    assert path_of(once) == ["1", "2"]
    assert once.find_rollback(version("3")) is not None and once.find_rollback(version("2")) is None
    twice = build_ledger([*promotions, entry(4, "rollback", "2", "3"), entry(5, "rollback", "1", "2")])
    assert path_of(twice) == ["1"] and twice.champion == "1"
    forward = build_ledger([*promotions, entry(4, "rollback", "1", "3"), entry(5, "rollback", "3", "1")])
    assert path_of(forward) == ["1", "3"] and forward.find_rollback(version("3")) is None


def test_a_champion_that_was_set_outside_the_log_joins_the_rollback_path() -> None:
    assert path_of(build_ledger([FIRST, entry(2, "adopted", "4", "1")])) == ["1", "4"]


def test_the_champion_at_a_time_is_found() -> None:
    ledger = build_ledger([FIRST, entry(2, "promote", "2", "1", record(0)), entry(3, "rollback", "1", "2")])
    times = [START + timedelta(hours=hour) for hour in (0.9, 1, 1.5, 2, 9)]
    versions = [period and period.version for period in map(ledger.period_at, times)]
    assert versions == [None, "1", "1", "2", "1"]


def test_an_empty_log_has_no_champion() -> None:
    ledger = build_ledger([])
    assert (ledger.champion, ledger.champion_entry, ledger.last_judgement) == (None, 0, 0)
    assert ledger.period_at(START) is None


def test_an_entry_keeps_its_stored_names() -> None:
    content = entry_to_json(entry(2, "promote", "2", "1", record(0)))
    assert content["judged"]["key"] == "k" and "verdict" not in content
    assert entry_from_json(content) == entry(2, "promote", "2", "1", record(0))


def test_a_champion_that_was_removed_ends_its_time_and_leaves_the_rollback_path() -> None:
    promoted = [FIRST, entry(2, "promote", "2", "1", record(0)), entry(3, "removed", "2", "2")]
    ledger = build_ledger(promoted)
    assert (ledger.champion, ledger.champion_entry, path_of(ledger)) == (None, 0, ["1"])
    times = [START + timedelta(hours=hour) for hour in (1, 2, 3, 9)]
    assert [period and period.version for period in map(ledger.period_at, times)] == ["1", "2", None, None]
    assert build_ledger([*promoted, entry(4, "removed", "2", "2")]).periods == ledger.periods
    late = build_ledger([*promoted, entry(4, "promote", "3", "2", record(2))])
    assert late.champion is None and not late.stands(late.entries[-1])
    back = build_ledger([*promoted, entry(4, "rollback", "1", None)])
    assert (back.champion, path_of(back), len(back.periods)) == ("1", ["1"], 3)


def test_a_version_is_told_apart_from_another_one_of_its_number() -> None:
    named = replace(FIRST, run="a", manifest="m")
    assert named.is_about(VersionIdentity("1", "a", "m", START)) and named.is_about(
        VersionIdentity("1", "a", None, START)
    )
    for other in (("1", "b", "m"), ("1", "a", "n"), ("2", "a", "m")):
        assert not named.is_about(VersionIdentity(*other, START))
    assert FIRST.is_about(version("1")) and not FIRST.is_about(version("1", registered=START + timedelta(hours=2)))


def test_a_promotion_that_expects_another_champion_of_the_same_number_takes_no_effect() -> None:
    first = replace(FIRST, run="new")
    promoted = entry(2, "promote", "2", "1", record(0))
    assert build_ledger([first, replace(promoted, expected_run="old")]).champion == "1"
    for run in ("new", None):
        assert build_ledger([first, replace(promoted, expected_run=run)]).champion == "2"


def waiting(number: int, of: str = "2", expected: str | None = "1", verdict: VerdictRecord | None = None) -> Entry:
    return replace(entry(number, AWAITING, of, expected, verdict), approval_days=1.0, page="page")


def answer(number: int, action: Any, request: int, of: str = "2", expected: str | None = "1") -> Entry:
    return replace(entry(number, action, of, expected), request=request)


def test_a_verdict_that_waits_moves_nobody_counts_once_and_takes_effect_by_an_approval() -> None:
    entries = [FIRST, waiting(2, verdict=record(0))]
    ledger = build_ledger(entries)
    assert ledger.champion == "1" and ledger.count_judgements(("1", "2"), 0.5) == 1 and ledger.stands(entries[1])
    (request,) = ledger.requests
    assert request.is_open(START + timedelta(hours=26)) and not request.is_open(START + timedelta(hours=27))
    approved = build_ledger([*entries, answer(3, "approve", 2)])
    assert approved.champion == "2" and approved.count_judgements(("1", "2"), 0.5) == 1
    assert approved.requests[0].closed_by == approved.entries[-1] and path_of(approved) == ["1", "2"]


def test_an_approval_takes_no_effect_too_late_twice_or_after_something_else_closed_the_request() -> None:
    entries = [FIRST, waiting(2, verdict=record(0))]
    for between in (
        answer(3, "reject", 2),
        entry(3, "promote", "3", "1", record(2)),
        entry(3, "removed", "1", "1"),
        entry(3, "refuse", "2", "1", record(2, "b", "refuse")),
        waiting(3, verdict=record(2, "b")),
    ):
        ledger = build_ledger([*entries, between, answer(4, "approve", 2)])
        assert ledger.champion != "2" and ledger.requests[0].closed_by == between
    assert build_ledger([*entries, answer(40, "approve", 2)]).champion == "1"  # after its time
    other = entry(3, "refuse", "3", "1", record(2, "b", "refuse"))
    assert build_ledger([*entries, other, answer(4, "approve", 2)]).champion == "2"


def test_a_first_version_waits_for_approval_too() -> None:
    entries = [waiting(1, "1", None), waiting(2, "2", None)]
    assert build_ledger(entries).champion is None and len(build_ledger(entries).requests) == 2
    ledger = build_ledger([*entries, answer(3, "approve", 1, "1", None), answer(4, "approve", 2, "2", None)])
    assert ledger.champion == "1" and ledger.requests[1].closed_by == ledger.entries[2]


def test_a_late_verdict_does_not_close_the_request_that_overtook_it() -> None:
    ledger = build_ledger([FIRST, waiting(2, verdict=record(0)), waiting(3, verdict=record(0))])
    assert [request.entry.number for request in ledger.requests] == [2] and ledger.requests[0].closed_by is None
