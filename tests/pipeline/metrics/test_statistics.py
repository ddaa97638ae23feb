"""Bootstrap and calibration against plain loops over rows, and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.metrics import statistics


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """True and predicted class of 300 rows; class 4 of 5 never occurs."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 300)
    return truth, np.where(rng.random(300) < 0.7, truth, rng.integers(0, 4, 300))


def test_accuracy_and_macro_f1_equal_those_of_scikit_learn(predictions):
    truth, predicted = predictions
    counts = statistics.confusion_matrix(truth, predicted, 5)
    assert counts.sum() == 300
    assert statistics.accuracy(counts) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert statistics.macro_f1(counts) == pytest.approx(sklearn_metrics.f1_score(truth, predicted, average="macro"))


def test_resamples_keep_the_number_of_rows_and_invent_no_cell(predictions):
    counts = statistics.confusion_matrix(*predictions, 5)
    drawn = statistics.resample(counts, 200, np.random.default_rng(0))
    assert drawn.shape == (200, 5, 5)
    assert (drawn.sum(axis=(1, 2)) == 300).all()
    assert not drawn[:, counts == 0].any()


def test_intervals_agree_with_a_bootstrap_that_draws_single_rows(predictions):
    truth, predicted = predictions
    counts = statistics.confusion_matrix(truth, predicted, 5)
    drawn = statistics.resample(counts, 4000, np.random.default_rng(0))
    rng = np.random.default_rng(5)
    picks = [rng.integers(0, 300, 300) for _ in range(1000)]
    plain = {
        statistics.accuracy: [(truth[pick] == predicted[pick]).mean() for pick in picks],
        statistics.macro_f1: [sklearn_metrics.f1_score(truth[p], predicted[p], average="macro") for p in picks],
    }
    for statistic, values in plain.items():
        interval = statistics.percentile_interval(statistic(drawn), 0.95)
        assert interval == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.012)


def test_the_same_seed_gives_the_same_interval(predictions):
    counts = statistics.confusion_matrix(*predictions, 5)
    first, second = (statistics.resample(counts, 100, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_calibration_error_of_three_bins_computed_by_hand():
    confidence = np.array([0.1, 0.2, 0.5, 0.9, 1.0])
    correct = np.array([False, True, True, True, False])
    table = statistics.reliability_table(confidence, correct, bins=3)
    assert table["rows"].tolist() == [2, 1, 2]
    np.testing.assert_allclose(table["confidence"], [0.15, 0.5, 0.95])
    np.testing.assert_allclose(table["accuracy"], [0.5, 1.0, 0.5])
    assert statistics.expected_calibration_error(table) == pytest.approx((2 * 0.35 + 0.5 + 2 * 0.45) / 5)


def test_calibration_error_is_small_for_calibrated_and_large_for_too_high_confidence():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 50_000)
    correct = rng.random(50_000) < confidence
    assert statistics.expected_calibration_error(statistics.reliability_table(confidence, correct)) < 0.01
    overconfident = statistics.reliability_table(np.full(50_000, 0.99), correct)
    assert statistics.expected_calibration_error(overconfident) == pytest.approx(0.99 - correct.mean())


def test_log_loss_equals_that_of_scikit_learn_and_is_finite_for_an_impossible_truth():
    scores, truth = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1])
    assert statistics.log_loss(scores, truth) == pytest.approx(sklearn_metrics.log_loss(truth, scores))
    assert statistics.log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-12))


def test_wilson_intervals_are_the_published_ones() -> None:
    """Newcombe 1998, table I: 81 of 263, and 0 of 20, method 3."""
    assert statistics.wilson_interval(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert statistics.wilson_interval(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=1e-4)
