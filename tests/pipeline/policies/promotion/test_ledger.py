"""The promotion log read as a whole: which entry takes effect, who was champion when, and what uses up a test set."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.policies.promotion.ledger import Entry, VerdictRecord, build_ledger, entry_from_json, entry_to_json

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, action: Any, version: str, expected: str | None, verdict: VerdictRecord | None = None) -> Entry:
    at = START + timedelta(hours=number)
    return Entry(number, at, action, version, expected, "why", "me", "flow", f"attempt {number}", verdict)


def record(after: int, key: str = "k", status: Any = "promote", rows: tuple[str, ...] = ("1", "2")) -> VerdictRecord:
    return VerdictRecord(key, status, "artifact", "rows", rows, 0.5, 1, after, "accuracy", 0.8, 0.9, 0.01, 0.0)


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
    assert once.rollback_path == ("1", "2")
    assert once.find_rollback("3") is not None and once.find_rollback("2") is None
    twice = build_ledger([*promotions, entry(4, "rollback", "2", "3"), entry(5, "rollback", "1", "2")])
    assert twice.rollback_path == ("1",) and twice.champion == "1"
    forward = build_ledger([*promotions, entry(4, "rollback", "1", "3"), entry(5, "rollback", "3", "1")])
    assert forward.rollback_path == ("1", "3") and forward.find_rollback("3") is None


def test_a_champion_that_was_set_outside_the_log_joins_the_rollback_path() -> None:
    assert build_ledger([FIRST, entry(2, "adopted", "4", "1")]).rollback_path == ("1", "4")


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
