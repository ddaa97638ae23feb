"""Temperatures that are fitted on labels, or matched to an accuracy known from elsewhere."""

import numpy as np
import pytest

from pipeline.metrics.calibration import TEMPERATURE_RANGE, fit_temperature, match_confidence, softmax


def test_probabilities_sum_to_one_and_large_logits_do_not_overflow() -> None:
    assert softmax(np.array([[1000.0, 0.0], [0.0, 0.0]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_temperature_minimises_the_negative_log_likelihood() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(size=(4000, 4)) * 2
    chances = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in chances])
    assert fit_temperature(true_logits * 3, truth) == pytest.approx(3, rel=0.1)
    assert fit_temperature(true_logits / 2, truth) == pytest.approx(0.5, rel=0.1)


def test_temperature_of_rows_that_are_all_correct_stays_within_bounds() -> None:
    assert fit_temperature(np.eye(60), np.arange(60)) >= TEMPERATURE_RANGE[0]


def test_confidence_is_matched_to_an_accuracy() -> None:
    logits = 9 * np.random.default_rng(0).normal(size=(2000, 4))
    temperature = match_confidence(logits, 0.7)
    assert softmax(logits, temperature).max(axis=1).mean() == pytest.approx(0.7, abs=1e-3)
