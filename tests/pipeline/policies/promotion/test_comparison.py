"""Two models on the same rows: their scores, and how often a bound on the lead is wrong."""

import numpy as np
import pytest

from pipeline.metrics import statistics
from pipeline.policies.promotion import comparison
from pipeline.policies.promotion.comparison import Agreement


def test_scores_of_both_models_are_those_of_the_reports() -> None:
    rng = np.random.default_rng(0)
    truth, old, new = rng.integers(0, 5, (3, 200))
    answers = comparison.count_answers(truth, old, new, 5)
    measured = comparison.score_both(answers.counts[None], answers)[:, 0]
    for model, predicted in enumerate((old, new)):
        counts = statistics.confusion_matrix(truth, predicted, 5)
        assert measured[model] == pytest.approx([statistics.accuracy(counts), statistics.macro_f1(counts)])


def test_a_class_that_the_champion_never_answers_counts_as_wrong_for_it() -> None:
    truth, old, new = np.array([0] * 50 + [1] * 50 + [2] * 50), np.array([0] * 100 + [1] * 50), np.repeat([0, 1, 2], 50)
    answers = comparison.count_answers(truth, old, new, 3)
    accuracy = comparison.compare_models(answers, 0.025, 1000, 0)["accuracy"]
    assert (accuracy.champion, accuracy.challenger) == (pytest.approx(1 / 3), 1.0)
    agreement = Agreement(both=50, challenger_only=100, champion_only=0, neither=0)
    assert comparison.count_agreement(answers) == agreement


@pytest.mark.parametrize(("wins", "losses"), [(4, 0), (5, 0), (6, 0), (9, 1), (9, 2), (20, 8), (20, 9)])
def test_the_lower_bound_on_accuracy_is_above_0_only_where_the_sign_test_rejects(wins: int, losses: int) -> None:
    from scipy.stats import binomtest

    rejects = binomtest(wins, wins + losses, alternative="greater").pvalue <= 0.025
    low, high = comparison.exact_accuracy_bounds(Agreement(360 - wins - losses, wins, losses, 40), 0.025)
    assert (low > 0) == rejects and low < (wins - losses) / 400 < high or losses == 0


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("discordant", [0.03, 0.2])
def test_models_that_are_equally_good_are_seldom_called_better(metric: str, discordant: float) -> None:
    """The level is 10% a bound. 400 simulations err by 1.5 points, so 14.5% is three of those above."""
    rng, level, rows, errors = np.random.default_rng(1), 0.1, 200, 0
    for seed in range(400):
        truth = rng.integers(0, 3, rows)
        wrong, chance = (truth + rng.integers(1, 3, rows)) % 3, rng.random(rows)
        old = np.where((chance < discordant / 2) | (chance > 0.9), wrong, truth)
        new = np.where((chance >= discordant / 2) & (chance < discordant) | (chance > 0.9), wrong, truth)
        answers = comparison.count_answers(truth, old, new, 3)
        errors += comparison.compare_models(answers, level, 400, seed)[metric].low > 0
    assert errors / 400 < level + 0.045
