"""The class prior: estimated from gold rows and from predictions, and the alignment with it."""

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label.class_prior import align_to_prior, estimate_class_shares
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from tests.support.pseudo_texts import toy, toy_without_words


def test_alignment_moves_the_class_shares_to_the_prior() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(size=(500, 3)) + np.array([2.0, 0.0, 0.0]))
    prior = np.array([0.2, 0.3, 0.5])
    aligned = align_to_prior(probabilities, prior)
    assert np.allclose(aligned.mean(axis=0), prior, atol=0.01)
    assert np.allclose(aligned.sum(axis=1), 1)


def test_the_prior_of_a_less_reliable_teacher_lies_nearer_to_equal_shares(pseudo_params: PseudoLabel) -> None:
    task = toy_without_words([5] * 3, [700, 200, 100], 0.3, [])
    distances = [
        task.rounds(pseudo_params, TeacherEstimate(1.0, reliability, 0.5))[1].prior.max() - 1 / 3
        for reliability in (0.0, 0.5, 1.0)
    ]
    assert distances[0] == pytest.approx(0)
    assert distances[0] < distances[1] < distances[2]


def test_class_shares_follow_the_gold_rows_as_far_as_chance_does_not_explain_their_numbers() -> None:
    counts = [[8, 8], [7, 9], [6, 14], [4, 16], [60, 240]]
    shares = [estimate_class_shares(np.repeat([0, 1], rows), 2)[1] for rows in counts]
    assert shares[:2] == [0.5, 0.5]
    assert 0.5 < shares[2] < 0.7  # 6 of 20 may well be 10 by chance
    assert 0.7 < shares[3] < 0.8
    assert shares[4] == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("labels", [[], [0], [0, 0], [0, 1, 2]])
def test_class_shares_are_equal_where_gold_rows_are_too_few(labels: list[int]) -> None:
    assert np.allclose(estimate_class_shares(np.array(labels, dtype=int), 3), 1 / 3)


def test_an_unreliable_teacher_keeps_to_the_class_shares_of_the_gold_rows(pseudo_params: PseudoLabel) -> None:
    """8 of 10 rows are of one class; with equal shares, the rounds give a third of all rows the other class."""
    accuracies = {}
    for shares in (None, estimate_class_shares(np.repeat([0, 1], [48, 12]), 2)):
        task = toy([48, 12], [800, 200], spread=2.0, signal=0.05)
        rounds = task.rounds(pseudo_params, TeacherEstimate(1.0, 0.1, 0.5, class_shares=shares))
        accuracies[shares is not None] = np.mean(rounds[-1].teacher.logits(task.pool).argmax(axis=1) == task.pool_truth)
    assert accuracies[True] > accuracies[False] + 0.05
