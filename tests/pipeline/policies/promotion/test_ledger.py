"""The promotion log read as a whole: whose entry takes effect, who was champion when, how worn a test set is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.policies.promotion.ledger import Entry, Judged, fold

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, action: Any, version: str, expected: str | None, judged: Judged | None = None) -> Entry:
    at = START + timedelta(hours=number)
    return Entry(number, at, action, version, expected, "why", "me", "flow", f"attempt {number}", judged)


def judged(after: int, key: str = "k", status: Any = "promote", rows: tuple[str, ...] = ("1", "2")) -> Judged:
    return Judged(key, status, "artifact", "rows", rows, 0.5, 1, after, "accuracy", 0.8, 0.9, 0.01, 0.0)


FIRST = entry(1, "initial", "1", None)


def test_the_first_of_two_that_expect_the_same_champion_wins() -> None:
    two, three = entry(2, "promote", "2", "1", judged(0)), entry(3, "promote", "3", "1", judged(0))
    found = fold([three, FIRST, two])
    assert (found.champion, found.took_effect(two), found.took_effect(three)) == ("2", True, False)
    assert [one.number for one in found.entries] == [1, 2, 3] and found.moved == 2


def test_of_two_first_versions_one_is_champion() -> None:
    assert fold([FIRST, entry(2, "initial", "2", None)]).champion == "1"


def test_a_judgement_that_did_not_know_of_another_takes_no_effect() -> None:
    refused = entry(2, "refuse", "2", "1", judged(0, "a", "refuse"))
    late, again = entry(3, "promote", "3", "1", judged(0, "b")), entry(4, "promote", "3", "1", judged(3, "b"))
    assert fold([FIRST, refused, late]).champion == "1" and fold([FIRST, refused, late]).known("b") is None
    found = fold([FIRST, refused, late, again])
    assert found.champion == "3" and found.known("b") == again and found.known("a") == refused
    assert found.judgements(("1", "2"), 0.5) == 3 and found.judgements(("7", "8"), 0.5) == 0


def test_a_repeated_verdict_is_no_judgement() -> None:
    repeated = replace(judged(0), again=2)
    entries = [FIRST, entry(2, "promote", "2", "1", judged(0)), entry(3, "rollback", "1", "2")]
    found = fold([*entries, entry(4, "promote", "2", "1", repeated)])
    assert found.champion == "2" and found.judgements(("1", "2"), 0.5) == 1 and found.last_judgement == 2


def test_an_entry_that_was_sent_twice_counts_once() -> None:
    two = entry(2, "refuse", "2", "1", judged(0, status="refuse"))
    assert fold([FIRST, two, replace(two, number=3)]).judgements(("1", "2"), 0.5) == 1


def test_rolling_back_twice_goes_two_champions_back() -> None:
    moved = [FIRST, entry(2, "promote", "2", "1", judged(0)), entry(3, "promote", "3", "2", judged(2))]
    once = fold([*moved, entry(4, "rollback", "2", "3")])
    assert once.line == ("1", "2") and once.set_aside("3") is not None and once.set_aside("2") is None
    twice = fold([*moved, entry(4, "rollback", "2", "3"), entry(5, "rollback", "1", "2")])
    assert twice.line == ("1",) and twice.champion == "1"
    forward = fold([*moved, entry(4, "rollback", "1", "3"), entry(5, "rollback", "3", "1")])
    assert forward.line == ("1", "3") and forward.set_aside("3") is None


def test_a_version_set_by_hand_joins_the_line() -> None:
    assert fold([FIRST, entry(2, "adopted", "4", "1")]).line == ("1", "4")


def test_who_was_champion_at_a_time() -> None:
    found = fold([FIRST, entry(2, "promote", "2", "1", judged(0)), entry(3, "rollback", "1", "2")])
    hours = [START + timedelta(hours=hour) for hour in (0.9, 1, 1.5, 2, 9)]
    assert [one and one.version for one in map(found.reign_at, hours)] == [None, "1", "1", "2", "1"]


def test_an_empty_log_has_no_champion() -> None:
    found = fold([])
    assert (found.champion, found.moved, found.last_judgement, found.reign_at(START)) == (None, 0, 0, None)
