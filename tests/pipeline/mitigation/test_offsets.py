"""Offsets by class: a gap that one threshold for all can close is closed within the budget, others are left alone."""

import numpy as np
import pytest

from pipeline.mitigation.offsets import choose, score


def skewed(seed: int, shift: float, rows: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two classes that call too many rows 0; group 1 has more rows of class 1, which are then missed."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([0, 1], rows // 2)
    truth = (rng.random(rows) < np.where(groups == 1, 0.8, 0.2)).astype(int)
    margin = 2.0 * (2 * truth - 1) - shift + rng.normal(size=rows)
    return np.stack([-margin / 2, margin / 2], axis=1), truth, groups[:, None]


def test_a_gap_that_a_threshold_makes_is_closed_for_new_rows_too():
    logits, truth, groups = skewed(0, 2.0)
    chosen = choose(logits, truth, groups, budget=0.01, least=30)
    assert chosen.reason == "chosen" and chosen.held < 0
    assert chosen.before[1] > 0.15 and chosen.after[1] < chosen.before[1] / 2
    fresh = skewed(1, 2.0)
    before, after = (score(fresh[0] + moved, *fresh[1:], 30) for moved in (0.0, chosen.values))
    assert after[1] < before[1] / 2 and after[0] > before[0] - 0.01


def test_the_budget_bounds_what_accuracy_may_fall():
    logits, truth, groups = skewed(0, 0.6)
    gaps = []
    for budget in (0.0, 0.02, 0.1):
        chosen = choose(logits, truth, groups, budget=budget, least=30)
        assert chosen.reason == "chosen" and chosen.after[0] >= chosen.before[0] - budget
        gaps.append(chosen.after[1])
    assert gaps == sorted(gaps, reverse=True)


def test_where_groups_do_not_differ_nothing_is_moved():
    rng = np.random.default_rng(0)
    truth = np.tile(rng.integers(2, size=200), 2)
    logits = np.eye(2)[truth] * 1.5 + np.tile(rng.normal(size=(200, 2)) * 0.8, (2, 1))
    groups = np.repeat([0, 1], 200)[:, None]  # the same rows in both
    chosen = choose(logits, truth, groups, budget=0.01, least=30)
    assert not chosen.values.any()


def test_too_few_rows_of_a_group_are_insufficient():
    logits, truth, groups = skewed(0, 2.0, rows=40)
    chosen = choose(logits, truth, groups, budget=0.01, least=30)
    assert chosen.reason.startswith("insufficient: no attribute has two groups of 30 rows among 40")
    assert not chosen.values.any()


@pytest.mark.parametrize("classes", [3, 5])
def test_with_more_classes_each_may_be_moved(classes):
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 400)
    often = np.where(groups == 1, 0.7, 0.1)
    truth = np.where(rng.random(800) < often, classes - 1, rng.integers(classes - 1, size=800))
    logits = 2.5 * np.eye(classes)[truth] + rng.normal(size=(800, classes)) * 0.8
    logits[:, -1] -= 1.5
    chosen = choose(logits, truth, groups[:, None], budget=0.01, least=30)
    assert chosen.values.argmax() == classes - 1
    assert chosen.after[1] < chosen.before[1] / 2
