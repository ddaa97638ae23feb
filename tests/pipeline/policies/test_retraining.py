"""A night trains when any criterion is met, and gives its reasons in any case."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.params import Retrain, load_params
from pipeline.policies.drift import DriftReport, DriftTest
from pipeline.policies.monitoring.finding import FindingStatus, TrafficFinding, TrafficLook
from pipeline.policies.retraining import Situation, decide_training

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 12, 1, tzinfo=UTC)
CALM = DriftReport((DriftTest("texts", "none", 900, 80, 0.4, 0.51, 0.6),))
MOVED = DriftReport(
    (DriftTest("texts", "drift", 900, 80, 0.001, 0.8, 0.6), DriftTest("answers", "none", 900, 80, 0.3, 0.01, 0.1))
)
FEW = DriftReport((DriftTest("texts", "insufficient", 900, 12),))


def look(**statuses: FindingStatus) -> TrafficLook:
    """A look at traffic with findings of these statuses."""
    findings = tuple(TrafficFinding(name, status, f"because of {name}") for name, status in statuses.items())
    return TrafficLook("3", "d", NOW, NOW, 300, 300, 1, 0, findings, ())


def limits(**changes: Any) -> Retrain:
    plain = {"min_new_labelled": 20, "min_new_rows": 100, "on_drift": True, "max_age_days": 30.0}
    return load_params(ROOT / "params.yaml").retrain.model_copy(update=plain | changes)


def situation(**changes: Any) -> Situation:
    calm: dict[str, Any] = {"champion": "3", "age_days": 4.0, "new_rows": 50, "new_labelled": 5, "drift": CALM}
    return Situation(**calm | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"champion": None, "age_days": None}, "no champion yet"),
        ({"new_labelled": 20}, "20 new labelled rows, 20 wanted"),
        ({"new_rows": 100}, "100 new rows, 100 wanted"),
        ({"drift": MOVED}, "texts: drift, separation 0.800 (drift from 0.6), p 0.0010, 80 new rows against 900"),
        ({"age_days": 30.5}, "champion 30.5 days old, 30 allowed"),
        ({"forced": True}, "asked for with --force"),
        ({"undecided_version": "4"}, "version 4 was registered, but never judged"),
        ({"is_training_unfinished": True}, "a training of an earlier night was killed before its end"),
    ],
)
def test_one_reason_is_enough(changes: dict[str, Any], reason: str) -> None:
    decision = decide_training(situation(**changes), limits())
    assert decision.train and decision.because == reason


def test_without_a_reason_every_criterion_says_no() -> None:
    decision = decide_training(situation(), limits())
    assert not decision.train
    assert [line.split(":")[0] for line in decision.reasons] == ["no"] * 5
    assert decision.because.startswith(
        "there is a champion, version 3; 5 new labelled rows, 20 wanted; 50 new rows, 100 wanted"
    )


def test_too_few_rows_for_a_drift_test_are_reported_as_insufficient() -> None:
    decision = decide_training(situation(drift=FEW), limits())
    assert not decision.train
    assert "no: texts: insufficient, 12 new rows against 900" in decision.reasons


def test_an_old_champion_stays_where_nothing_arrived() -> None:
    decision = decide_training(situation(age_days=99.0, new_rows=0, new_labelled=0, drift=None), limits())
    assert not decision.train
    assert "no: champion 99.0 days old, 30 allowed, but nothing new to learn from" in decision.reasons


def test_a_criterion_that_is_off_justifies_nothing() -> None:
    off = limits(min_new_labelled=None, min_new_rows=None, on_drift=False, max_age_days=None)
    decision = decide_training(situation(age_days=99.0, new_rows=999, new_labelled=999, drift=MOVED), off)
    assert not decision.train
    assert sum(line.startswith("off: ") for line in decision.reasons) == 4


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        ({"texts": "found", "accuracy": "none"}, "yes: traffic: texts: because of texts"),
        ({"texts": "none", "accuracy": "found"}, "yes: traffic: accuracy: because of accuracy"),
        ({"texts": "none", "flood": "found"}, "no: traffic: texts: because of texts"),  # misuse is no reason to train
        ({"texts": "insufficient"}, "no: traffic: texts: because of texts"),
    ],
)
def test_drift_or_a_low_estimate_in_the_traffic_is_a_reason(statuses: dict[str, FindingStatus], line: str) -> None:
    decision = decide_training(situation(traffic=look(**statuses)), limits())
    assert line in decision.reasons and decision.train == line.startswith("yes")
    if decision.train:
        assert decision.because == line.removeprefix("yes: ")


def test_traffic_is_no_reason_without_new_rows_or_where_it_is_off() -> None:
    moved = look(texts="found")
    stale = decide_training(situation(traffic=moved, new_rows=0, new_labelled=0), limits())
    assert not stale.train
    assert "no: traffic: texts: because of texts, but nothing new to learn from" in stale.reasons
    off = decide_training(situation(traffic=moved), limits(on_traffic=False))
    assert not off.train and "off: traffic" in off.reasons
    assert not any("traffic" in line for line in decide_training(situation(), limits()).reasons)
