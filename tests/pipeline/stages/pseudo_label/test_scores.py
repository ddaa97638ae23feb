"""Scores of logits on held-out rows."""

import numpy as np
import pytest

from pipeline.metrics.calibration import brier_scores
from pipeline.stages.pseudo_label import scores


def test_the_log_loss_is_lowest_for_right_logits_whatever_their_scale() -> None:
    truth = np.arange(30) % 3
    mostly_right = np.eye(3)[np.where(np.arange(30) < 3, (truth + 1) % 3, truth)]
    assert scores.calibrated_log_loss(mostly_right, truth) == pytest.approx(
        scores.calibrated_log_loss(7 * mostly_right, truth), abs=1e-3
    )
    assert scores.calibrated_log_loss(np.eye(3)[truth], truth) < scores.calibrated_log_loss(mostly_right, truth)


def test_the_brier_score_is_not_decided_by_a_single_confident_error() -> None:
    truth, surely = np.zeros(20, dtype=int), np.tile([2.0, 0.0], (20, 1))
    one_confident_error, four_errors = surely.copy(), surely.copy()
    one_confident_error[0], four_errors[:4] = [0.0, 8.0], [0.0, 1.0]
    assert scores.calibrated_log_loss(one_confident_error, truth) > scores.calibrated_log_loss(four_errors, truth)
    assert brier_scores(one_confident_error, truth).mean() < brier_scores(four_errors, truth).mean()
    assert brier_scores(surely, truth) == pytest.approx(0, abs=1e-3)
