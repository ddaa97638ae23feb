"""The gate: fail beats insufficient beats pass, and a metric that was not measured never passes."""

import pytest

from pipeline.core.params import Gate
from pipeline.policies.gate import GateVerdict, decide_registration, gap_statuses
from pipeline.policies.reasons import Reason, parse_reason

LIMITS = Gate(
    min_test_rows=100,
    min_accuracy=0.7,
    min_macro_f1=0.7,
    min_gain_over_probe=0.0,
    max_calibration_error=0.2,
    min_coverage=None,
    max_out_of_scope_answered=None,
    max_group_gap=0.15,
    max_flip_rate=None,
)
GOOD = {
    "test_rows": 400,
    "accuracy": 0.9,
    "accuracy_low": 0.87,
    "accuracy_high": 0.93,
    "macro_f1": 0.88,
    "gain_over_probe": 0.04,
    "calibration_error": 0.05,
}
FAIR = {
    "attributes": 1,
    "status": "ok",
    "customer.status": "ok",
    "customer.insufficient_groups": [],
    "customer.lowest_accuracy_group": "business",
    "customer.highest_accuracy_group": "private",
    "customer.accuracy_gap": 0.08,
    "customer.accuracy_gap_low": 0.01,
    "customer.accuracy_gap_high": 0.2,
}
NO_TERMS = {"axes": [], "status": "no terms"}
NO_GROUPS = {"attributes": 0, "status": "no group attributes"}


def line(verdict: GateVerdict, limit: str) -> str:
    (reason,) = [reason for reason in verdict.reasons if limit in reason]
    return reason


def test_everything_within_its_limit_passes_with_a_line_for_each_limit():
    verdict = decide_registration(GOOD, FAIR, LIMITS, NO_TERMS)
    assert verdict.status == "pass"
    assert len(verdict.reasons) == 9
    assert line(verdict, "min_accuracy") == (
        "pass: accuracy is 90% (87.0 to 93.0), at least 70% wanted [gate.min_accuracy]"
    )
    gap = (
        "pass: accuracy by customer is 8 points lower for business than for private (1.0 to 20.0), at most 15 points "
        "allowed [gate.max_group_gap]"
    )
    assert line(verdict, "max_group_gap") == gap


def test_a_value_that_equals_its_limit_passes():
    fairness = FAIR | {"customer.accuracy_gap": 0.15}
    assert decide_registration(GOOD | {"accuracy": 0.7}, fairness, LIMITS, NO_TERMS).status == "pass"


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("accuracy", 0.69, "min_accuracy"),
        ("macro_f1", 0.69, "min_macro_f1"),
        ("gain_over_probe", -0.01, "min_gain_over_probe"),
        ("calibration_error", 0.21, "max_calibration_error"),
    ],
)
def test_a_value_beyond_its_limit_fails(key, value, limit):
    verdict = decide_registration(GOOD | {key: value}, FAIR, LIMITS, NO_TERMS)
    assert verdict.status == "fail"
    assert line(verdict, limit).startswith("fail:")
    assert sum(reason.startswith("pass:") for reason in verdict.reasons) == 5


def test_too_few_test_rows_are_insufficient():
    verdict = decide_registration(GOOD | {"test_rows": 99}, FAIR, LIMITS, NO_TERMS)
    assert verdict.status == "insufficient"
    assert line(verdict, "min_test_rows").startswith("insufficient: 99 test rows, at least 100 wanted")


@pytest.mark.parametrize("gain", [{}, {"gain_over_probe": None}])
def test_a_gain_that_was_not_measured_is_insufficient(gain):
    metrics = {name: value for name, value in GOOD.items() if name != "gain_over_probe"} | gain
    verdict = decide_registration(metrics, FAIR, LIMITS, NO_TERMS)
    assert verdict.status == "insufficient"
    assert "not measured" in line(verdict, "min_gain_over_probe")


NO_LIMITS = Gate.model_validate(dict.fromkeys(Gate.model_fields) | {"min_test_rows": 1})


@pytest.mark.parametrize("limits", [LIMITS, NO_LIMITS])
@pytest.mark.parametrize("key", ["test_rows", "accuracy", "macro_f1", "calibration_error"])
@pytest.mark.parametrize("value", [None, "absent", float("nan"), float("inf"), True, "0.9", [0.9]])
def test_a_metric_that_every_evaluation_has_fails_as_a_fault_if_it_is_no_number(key, value, limits):
    metrics = {name: known for name, known in GOOD.items() if name != key} | ({} if value == "absent" else {key: value})
    verdict = decide_registration(metrics, FAIR, limits, NO_TERMS)
    assert verdict.status == "fail"
    assert line(verdict, f"fail: evaluate: expected {key} ").endswith("if it comes back, the stage is wrong")


@pytest.mark.parametrize("limits", [LIMITS, NO_LIMITS])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy", 1.8),
        ("accuracy", -0.1),
        ("accuracy_low", -0.2),
        ("accuracy_high", 1.01),
        ("macro_f1", 1.0001),
        ("calibration_error", -0.01),
        ("calibration_error", 3),
        ("gain_over_probe", 1.2),
        ("test_rows", -1),
    ],
)
def test_a_metric_outside_its_range_fails_as_a_fault_whatever_the_limits_are(key, value, limits):
    verdict = decide_registration(GOOD | {key: value}, FAIR, limits, NO_TERMS)
    assert verdict.status == "fail" and f"expected {key} " in line(verdict, "fail: evaluate: expected")
    assert f", found {value}; " in line(verdict, "fail: evaluate: expected")


def test_gaps_and_flips_outside_their_range_fail_as_faults():
    verdict = decide_registration(
        GOOD, FAIR | {"customer.accuracy_gap": -0.5}, LIMITS, {"axes": ["en"], "en.flip_rate": 2}
    )
    assert line(verdict, "fail: fairness: expected customer.accuracy_gap from 0 to 1, found -0.5")
    assert line(verdict, "fail: counterfactual: expected en.flip_rate from 0 to 1, found 2")


def test_failure_outweighs_insufficiency():
    assert decide_registration(GOOD | {"test_rows": 9, "accuracy": 0.1}, FAIR, LIMITS, NO_TERMS).status == "fail"


def test_a_group_gap_beyond_its_limit_fails():
    verdict = decide_registration(GOOD, FAIR | {"customer.accuracy_gap": 0.16}, LIMITS, NO_TERMS)
    assert verdict.status == "fail"
    assert line(verdict, "max_group_gap").startswith("fail: accuracy by customer is 16 points lower")


def test_a_group_gap_beyond_its_limit_that_may_be_chance_is_insufficient():
    verdict = decide_registration(
        GOOD, FAIR | {"customer.accuracy_gap": 0.16, "customer.accuracy_gap_low": 0.0}, LIMITS, NO_TERMS
    )
    assert verdict.status == "insufficient"
    assert line(verdict, "max_group_gap").startswith("insufficient: accuracy by customer is 16 points lower")


def test_an_attribute_without_two_large_groups_is_insufficient():
    small = {"customer.status": "insufficient", "customer.accuracy_gap": None, "customer.insufficient_groups": ["new"]}
    verdict = decide_registration(GOOD, FAIR | small, LIMITS, NO_TERMS)
    assert verdict.status == "insufficient"
    assert line(verdict, "max_group_gap").endswith("too few rows to judge new [gate.max_group_gap]")


def test_small_groups_are_named_where_the_large_ones_pass():
    verdict = decide_registration(GOOD, FAIR | {"customer.insufficient_groups": ["new", "vip"]}, LIMITS, NO_TERMS)
    assert verdict.status == "pass"
    assert line(verdict, "max_group_gap").endswith("too few rows to judge new, vip [gate.max_group_gap]")


def test_the_worst_of_several_attributes_counts():
    other = {"age.status": "ok", "age.accuracy_gap": 0.5, "age.insufficient_groups": []}
    verdict = decide_registration(GOOD, FAIR | other | {"attributes": 2}, LIMITS, NO_TERMS)
    assert verdict.status == "fail"
    assert len(verdict.reasons) == 10


def test_without_group_attributes_the_group_limit_does_not_apply():
    verdict = decide_registration(GOOD, NO_GROUPS, LIMITS, NO_TERMS)
    assert verdict.status == "pass"
    assert line(verdict, "max_group_gap").startswith("not applicable:")


def test_group_metrics_that_were_never_written_are_insufficient():
    assert decide_registration(GOOD, {}, LIMITS, NO_TERMS).status == "insufficient"


def test_a_limit_that_is_null_is_off():
    limits = LIMITS.model_copy(update={"min_gain_over_probe": None, "max_group_gap": None})
    verdict = decide_registration(GOOD | {"gain_over_probe": None}, {}, limits, NO_TERMS)
    assert verdict.status == "pass"
    assert line(verdict, "min_gain_over_probe") == "off: the limit is null [gate.min_gain_over_probe]"
    assert line(verdict, "max_group_gap") == "off: the limit is null [gate.max_group_gap]"


FLIPS = {
    "axes": ["gender.en", "origin.en"],
    "status": "ok",
    "min_rows": 30,
    "gender.en.status": "ok",
    "gender.en.rows": 80,
    "gender.en.flip_rate": 0.05,
    "gender.en.flip_rate_low": 0.02,
    "gender.en.flip_rate_high": 0.12,
    "origin.en.status": "insufficient",
    "origin.en.rows": 6,
    "origin.en.flip_rate": 0.0,
    "origin.en.flip_rate_low": 0.0,
    "origin.en.flip_rate_high": 0.39,
}
FLIPPING = LIMITS.model_copy(update={"max_flip_rate": 0.1})


def test_flips_below_the_limit_pass_and_an_axis_that_few_rows_mention_does_not_apply():
    verdict = decide_registration(GOOD, FAIR, FLIPPING, FLIPS)
    assert verdict.status == "pass"
    reason = (
        "pass: an exchanged term of gender.en flips the label in 5% of the rows that hold one (2.0 to 12.0), at most "
        "10% allowed [gate.max_flip_rate]"
    )
    assert line(verdict, "of gender.en") == reason
    assert line(verdict, "of origin.en").startswith("not applicable: an exchanged term of origin.en")
    assert line(verdict, "of origin.en").endswith("; 6 rows, 30 needed to judge [gate.max_flip_rate]")


def test_flips_above_the_limit_fail():
    assert decide_registration(GOOD, FAIR, FLIPPING, FLIPS | {"gender.en.flip_rate": 0.2}).status == "fail"


def test_few_rows_that_flip_beyond_chance_are_insufficient():
    many = {"origin.en.flip_rate": 0.9, "origin.en.flip_rate_low": 0.55}
    assert decide_registration(GOOD, FAIR, FLIPPING, FLIPS | many).status == "insufficient"


def test_no_terms_do_not_apply_and_no_measurement_is_insufficient():
    assert line(decide_registration(GOOD, FAIR, FLIPPING, NO_TERMS), "max_flip_rate").startswith("not applicable:")
    assert decide_registration(GOOD, FAIR, FLIPPING, {}).status == "insufficient"


def test_each_attribute_has_the_status_of_its_rule_for_the_tables() -> None:
    two = FAIR | {"age.status": "ok", "age.accuracy_gap": 0.5, "attributes": 2}
    assert gap_statuses(0.15, two) == {"customer": "pass", "age": "fail"}
    assert gap_statuses(None, two) == {"customer": "off", "age": "off"}


def test_a_line_is_read_back_and_one_of_an_older_gleaner_too() -> None:
    reason = Reason("pass", "accuracy is 90%: fine", "gate.min_accuracy")
    assert parse_reason(str(reason)) == reason
    assert parse_reason("pass: min_accuracy: accuracy 0.9") == Reason("pass", "min_accuracy: accuracy 0.9")
