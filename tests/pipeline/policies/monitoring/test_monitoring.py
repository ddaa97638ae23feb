"""What a look at traffic finds, and what it does not: shifts, drops of accuracy, abstentions and misuse."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.policies.monitoring.accuracy import AccuracyEstimate, check_with_feedback, estimate_accuracy
from pipeline.policies.monitoring.finding import TrafficFinding, TrafficLook
from pipeline.policies.monitoring.look import look_at
from pipeline.policies.monitoring.misuse import find_floods
from pipeline.policies.monitoring.reference import MeasuredAnswers, TrainingReference
from pipeline.policies.monitoring.traffic import NO_LABEL, Traffic, count_by_minute
from tests.support.traffic import START, WIDTH, joined, limits, monitor, reference, traffic, vectors

WINDOW = (datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))
REFERENCE = reference()


def look(rows: Traffic, given: dict[str, str] | None = None, training: TrainingReference = REFERENCE) -> TrafficLook:
    """A look with the project's params."""
    return look_at(rows, given or {}, training, monitor(), limits(), ("3", "d"), WINDOW)


def estimated(rows: Traffic, tested: MeasuredAnswers | None = None) -> AccuracyEstimate:
    """The estimated accuracy of traffic that has answers."""
    estimate = estimate_accuracy(rows, tested, 0.95)
    assert estimate is not None
    return estimate


def find_flood(rows: Traffic) -> TrafficFinding:
    """The finding of a flood in traffic of one key."""
    (finding,) = find_floods(count_by_minute(rows.times, rows.keys), monitor())
    return finding


def statuses(rows: Traffic, training: TrainingReference = REFERENCE) -> dict[str, str]:
    """The status of each finding by its title."""
    return {finding.title: finding.status for finding in look(rows, training=training).findings}


def test_nothing_is_found_in_equal_traffic() -> None:
    found = [finding.title for seed in range(10) for finding in look(traffic(seed, 300)).found]
    assert found == []
    assert statuses(traffic(1, 300)) == {
        "texts": "none",
        "answers": "none",
        "accuracy": "none",
        "feedback": "insufficient",
        "abstained": "none",
        "near copies (shop)": "none",
        "near border (shop)": "none",
        "flood (shop)": "none",
    }


def test_foreign_texts_are_drift_of_texts_and_answers() -> None:
    seen = look(traffic(1, 300, foreign=0.5))
    assert [finding.title for finding in seen.found] == ["texts", "answers"]
    assert seen.slices[0].by == "label" and {part.name for part in seen.slices[:2]} == {"delivery", "refund"}
    assert seen.slices[0].change == pytest.approx(-seen.slices[1].change, abs=1e-9)
    assert abs(seen.slices[0].change) == pytest.approx(0.25, abs=0.08)
    (shop,) = [part for part in seen.slices if part.by == "key"]
    assert (shop.name, shop.rows, shop.share) == ("shop", 300, 1.0) and shop.change > 0.1


def test_a_text_counts_once_however_often_it_is_sent() -> None:
    foreign = traffic(2, 5, foreign=1.0)
    copies = joined(*[foreign] * 60)
    seen = look(joined(traffic(1, 300), copies))
    assert (seen.rows, seen.texts) == (600, 305)
    assert seen.named("texts").status == seen.named("answers").status == "none"
    assert sum(part.rows for part in seen.slices if part.by == "label") == 305


def test_too_few_rows_and_no_training_are_no_all_clear() -> None:
    few = statuses(traffic(1, 20))
    assert {few[name] for name in ("texts", "answers", "accuracy", "abstained")} == {"insufficient"}
    assert look(traffic(1, 0)).rows == 0
    gone = TrainingReference(absence="its rows are gone")
    seen = look(traffic(1, 300, foreign=1.0), training=gone)
    for name in ("texts", "answers", "accuracy"):
        finding = seen.named(name)
        assert finding.status == "insufficient" and "its rows are gone" in finding.sentence
    without = replace(traffic(1, 300, foreign=0.5), vectors=None)
    assert statuses(without)["texts"] == "insufficient" and statuses(without)["answers"] == "found"


@pytest.mark.parametrize(("confidence", "status"), [(0.9, "none"), (0.88, "none"), (0.75, "found")])
def test_a_drop_of_the_estimated_accuracy_is_found_when_it_is_sure(confidence: float, status: str) -> None:
    finding = look(traffic(1, 400, confidence=confidence)).named("accuracy")
    assert finding.status == status
    assert finding.value == pytest.approx(confidence, abs=0.02) and finding.limit == pytest.approx(0.85)


def test_the_estimate_is_right_for_calibrated_confidence_and_corrects_what_the_test_rows_showed() -> None:
    rng, covered = np.random.default_rng(0), 0
    for seed in range(100):
        rows = traffic(seed, 300, confidence=0.8)
        right = rng.random(300) < rows.confidences
        estimate = estimated(rows)
        covered += estimate.low <= right.mean() <= estimate.high
    assert 90 <= covered <= 100
    biased = reference(accuracy=0.95, confidence=0.85).tested
    shifted = estimated(rows, biased)
    assert shifted.value == pytest.approx(estimate.value + 0.1)
    assert shifted.high - shifted.low > estimate.high - estimate.low


def test_copies_of_one_text_make_the_estimate_no_surer() -> None:
    one, many = traffic(1, 50), joined(*[traffic(1, 50)] * 20)
    first, second = estimated(one), estimated(many)
    assert (second.value, second.low) == pytest.approx((first.value, first.low))


def corrected(rows: Traffic, labelled: int, wrong: int) -> dict[str, str]:
    """The labels that people gave to the first answers, of which so many were wrong."""
    other = {"delivery": "refund", "refund": "delivery"}
    labels = [other[label] if row < wrong else label for row, label in enumerate(rows.labels[:labelled])]
    return dict(zip(map(str, rows.ids), labels, strict=False)) | {"unknown": "refund"}


def feedback(rows: Traffic, given: dict[str, str]) -> TrafficFinding:
    """What feedback says of the estimate."""
    return check_with_feedback(rows, given, REFERENCE, monitor(), limits())


@pytest.mark.parametrize(("wrong", "status"), [(10, "none"), (16, "none"), (60, "found"), (100, "found")])
def test_feedback_checks_what_confidence_says(wrong: int, status: str) -> None:
    finding = feedback(traffic(1, 300), corrected(traffic(1, 300), 100, wrong))
    assert (finding.status, finding.rows) == (status, 100) and finding.value == pytest.approx(1 - wrong / 100)
    assert None not in (finding.low, finding.high)
    assert finding.low - 1e-9 <= 1 - wrong / 100 < finding.high  # type: ignore[operator]
    assert feedback(traffic(1, 300), {}).status == "insufficient"


def test_reported_errors_alone_are_a_finding_only_if_they_are_too_many_for_all_answers() -> None:
    rows = traffic(1, 2000)
    few = feedback(rows, corrected(rows, 100, 100))  # 5% of all answers, where 10% were expected to be wrong
    assert few.status == "insufficient" and few.value is None and "says nothing of the other" in few.sentence
    assert feedback(rows, corrected(rows, 400, 400)).status == "found"


def test_feedback_is_held_against_the_estimate_with_what_the_test_rows_showed() -> None:
    rows = traffic(1, 300)
    given = corrected(rows, 200, 50)  # 75% right, where confidence says 90%
    assert feedback(rows, given).status == "found"
    overconfident = reference(accuracy=0.75, confidence=0.9)
    assert check_with_feedback(rows, given, overconfident, monitor(), limits()).status == "none"


def test_one_text_that_is_sent_again_and_again_is_no_evidence() -> None:
    rows = traffic(1, 300)
    again = joined(rows, replace(rows.take(np.zeros(3000, np.int64)), ids=np.arange(3000).astype(object)))
    refused = replace(again, labels=np.where(np.arange(3300) < 300, again.labels, NO_LABEL))
    assert look(refused).named("abstained").status == "none"
    given = {str(id_): str(label) for id_, label in zip(rows.ids, rows.labels, strict=True)}
    wrong = "refund" if rows.labels[0] == "delivery" else "delivery"
    same = replace(again, ids=again.ids.astype(str).astype(object))
    assert feedback(same, given | {str(row): wrong for row in range(3000)}).status == "none"
    only = same.take(np.arange(300, 3300))
    statuses_of_one = {name: look(only).named(name).status for name in ("accuracy", "abstained")}
    assert statuses_of_one == {"accuracy": "insufficient", "abstained": "insufficient"}


@pytest.mark.parametrize(("share", "status"), [(0.1, "none"), (0.4, "found")])
def test_too_many_abstentions_are_a_finding(share: float, status: str) -> None:
    assert look(traffic(1, 300, refused=share)).named("abstained").status == status


def test_a_share_above_the_limit_that_may_be_chance_is_not_sure() -> None:
    rows = traffic(1, 922)
    refused = replace(rows, labels=np.where(np.arange(922) < 192, NO_LABEL, rows.labels))
    finding = look(refused).named("abstained")
    assert finding.status == "none" and finding.value is not None and finding.value > 0.2
    assert finding.sentence.endswith("; a share of more than 20% is not sure")
    assert look(traffic(1, 300, refused=0.4)).named("abstained").sentence.endswith("more than 20% is sure")


def test_the_accuracy_of_a_version_that_refused_test_rows_says_which_rows_are_meant() -> None:
    assert REFERENCE.tested is not None
    training = replace(REFERENCE, tested=replace(REFERENCE.tested, refused=2))
    sentence = look(traffic(1, 300), training=training).named("accuracy").sentence
    assert "it was 90% on the test rows that got a label (the run and its report count the 2 without" in sentence
    assert "it was 90% on the test rows; a drop" in look(traffic(1, 300)).named("accuracy").sentence


def test_near_copies_of_one_key_are_found_and_exact_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    base = vectors(rng, np.zeros(10, np.int64))
    near = np.repeat(base, 20, axis=0) + rng.normal(0, 0.02, (200, WIDTH)).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    copier = replace(traffic(3, 200, key="copier"), vectors=near)
    repeater = replace(  # in int8: vectors depend on the batch
        traffic(4, 200, key="repeater"), vectors=near, text_numbers=np.repeat(np.arange(10), 20)
    )
    found = statuses(joined(traffic(1, 300), copier, repeater))
    assert found["near copies (copier)"] == "found"
    assert found["near copies (shop)"] == "none" and "near copies (repeater)" not in found


def test_probes_near_the_border_of_two_labels_are_found() -> None:
    rows = traffic(1, 200, key="prober")
    probes = replace(rows, margins=np.where(np.arange(200) < 120, 0.02, rows.margins))
    found = statuses(joined(traffic(1, 300), probes))
    assert (found["near border (prober)"], found["near border (shop)"]) == ("found", "none")


def test_a_flood_is_many_texts_in_a_minute_and_far_more_than_usual() -> None:
    usual = traffic(1, 600, seconds=60.0)
    burst = traffic(2, 4000, seconds=0.01)
    burst = replace(burst, times=burst.times + np.timedelta64(3600, "s"))
    finding = find_flood(joined(usual, burst))
    assert finding.status == "found" and finding.value is not None and finding.value >= 4000
    assert str(START + np.timedelta64(60, "m"))[:16] in finding.sentence
    assert find_flood(usual).status == "none"
    minutes = (np.arange(8000) // 4000).astype("timedelta64[m]")
    steady = joined(burst, burst)
    assert find_flood(replace(steady, times=START + minutes)).status == "none"


def test_a_first_minute_is_no_usual_one_and_the_limits_are_named() -> None:
    limit = "a flood has at least 3000, and 10 times as many as a usual minute"
    first = find_flood(traffic(1, 220, seconds=0.1)).sentence
    assert first == f"220 texts in the minute of 2026-12-01T00:00 UTC, its only one, so that none is usual yet; {limit}"
    assert f"UTC, 1 in a usual one; {limit}" in find_flood(traffic(1, 5, seconds=60.0)).sentence


def test_a_flood_is_found_where_it_left_no_room_for_other_rows() -> None:
    usual = traffic(1, 600, seconds=60.0)
    burst = traffic(2, 4000, seconds=0.01)
    burst = replace(burst, times=burst.times + np.timedelta64(36_000, "s"))
    whole = joined(usual, burst)
    minutes = count_by_minute(whole.times, whole.keys)
    seen = look_at(burst, {}, REFERENCE, monitor(), limits(), ("3", "d"), WINDOW, minutes)
    assert look(burst).named("flood").status == "none" and seen.named("flood").status == "found"


def test_findings_quote_numbers_only() -> None:
    seen = look(traffic(1, 300, foreign=0.5), {"shop1": "refund"})
    assert all(isinstance(finding, TrafficFinding) and finding.sentence for finding in seen.findings)
    assert seen.found == tuple(finding for finding in seen.findings if finding.status == "found")
