"""The message about a night names each criterion of its decision once, and tells what was set aside."""

from datetime import UTC, datetime

import pytest

from flows.outcomes.night import Night, events, headline, message_lines
from pipeline.policies.retraining import Decision
from tasks.refresh import IntakeCounts

NIGHT = datetime(2026, 1, 4, 2, tzinfo=UTC)
REASONS = (
    "no: there is a champion, version 1",
    "yes: 30 new labelled rows, 20 wanted",
    "yes: 400 new rows, 300 wanted",
    "off: age",
)


def is_named_once(lines: list[str], criterion: str) -> bool:
    return sum(line.count(criterion) for line in lines) == 1


@pytest.mark.parametrize("outcome", ["promoted", "failed"])
def test_a_night_that_trained_names_the_decisive_criteria_first_and_then_the_others(outcome: str) -> None:
    night = Night(NIGHT, outcome=outcome, decision=Decision(True, REASONS), fault="the disk is full")  # type: ignore[arg-type]
    lines = message_lines(night)
    assert all(is_named_once(lines, reason.split(": ")[1]) for reason in REASONS)
    assert lines[0] == ("the disk is full" if outcome == "failed" else f"{REASONS[1][5:]}; {REASONS[2][5:]}")


def test_a_night_that_did_not_train_names_each_criterion_once() -> None:
    reasons = tuple(line.replace("yes: ", "no: ") for line in REASONS)
    lines = message_lines(Night(NIGHT, outcome="skipped", decision=Decision(False, reasons)))
    assert all(is_named_once(lines, reason.split(": ")[1]) for reason in reasons) and lines[-1] == "off: age"


def test_a_night_tells_of_every_version_that_waits_for_approval() -> None:
    night = Night(NIGHT, outcome="skipped", decision=Decision(False, REASONS), waiting=["version 2 waits for approval"])
    assert events(night) == {"skipped", "waiting"} and headline(night) == "skipped, waiting"
    assert message_lines(night)[1] == "version 2 waits for approval" and night.exit_code == 0
    assert Night(NIGHT, outcome="waiting").exit_code == 0


def test_a_night_tells_of_a_version_that_nobody_answered_in_time() -> None:
    night = Night(NIGHT, outcome="skipped", decision=Decision(False, REASONS), lapsed=["version 2 waited for approval"])
    assert events(night) == {"skipped", "waiting"} and headline(night) == "skipped, lapsed"
    assert message_lines(night)[1] == "version 2 waited for approval" and night.exit_code == 0


def test_a_night_tells_what_was_set_aside_of_which_file() -> None:
    counts = IntakeCounts(2, 0, 80, 80, 0, {"broken quotes": 80}, rows=160, files_set_aside=("monday.csv",))
    night = Night(NIGHT, outcome="refused", texts=counts, remarks=["train.csv: 3 of 9 rows set aside: 3 empty text"])
    lines = message_lines(night)
    assert (
        "texts: 80 new (80 labelled) and 0 known in 2 files; 80 of 160 rows set aside: 80 broken quotes; in monday.csv"
        in lines
    )
    assert "train.csv: 3 of 9 rows set aside: 3 empty text" in lines
