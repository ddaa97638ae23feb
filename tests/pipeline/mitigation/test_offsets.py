"""Class offsets close a gap that one threshold for all can close, within the budget, and leave other gaps."""

import numpy as np
import pytest

from pipeline.mitigation.offsets import accuracy_and_gap, choose_offsets


def skewed(seed: int, shift: float, rows: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two classes, moved towards class 0, with truth and groups.

    Group 1 has more rows of class 1, so that it loses more accuracy.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat([0, 1], rows // 2)
    truth = (rng.random(rows) < np.where(groups == 1, 0.8, 0.2)).astype(int)
    margin = 2.0 * (2 * truth - 1) - shift + rng.normal(size=rows)
    return np.stack([-margin / 2, margin / 2], axis=1), truth, groups[:, None]


def test_a_gap_that_a_threshold_makes_is_halved_on_new_rows_too():
    logits, truth, groups = skewed(0, 2.0)
    chosen = choose_offsets(logits, truth, groups, budget=0.01, min_group_size=30)
    assert chosen.reason == "chosen" and chosen.held_out_change < 0
    assert chosen.before[1] > 0.15 and chosen.after[1] < chosen.before[1] / 2
    new_logits, *new_rows = skewed(1, 2.0)
    before, after = (accuracy_and_gap(new_logits + offsets, *new_rows, 30) for offsets in (0.0, chosen.values))
    assert after[1] < before[1] / 2 and after[0] > before[0] - 0.01


def test_accuracy_falls_at_most_by_the_budget():
    logits, truth, groups = skewed(0, 0.6)
    gaps = []
    for budget in (0.0, 0.02, 0.1):
        chosen = choose_offsets(logits, truth, groups, budget=budget, min_group_size=30)
        assert chosen.reason == "chosen" and chosen.after[0] >= chosen.before[0] - budget
        gaps.append(chosen.after[1])
    assert gaps == sorted(gaps, reverse=True)


def test_groups_that_do_not_differ_get_no_offsets():
    rng = np.random.default_rng(0)
    truth = np.tile(rng.integers(2, size=200), 2)
    logits = np.eye(2)[truth] * 1.5 + np.tile(rng.normal(size=(200, 2)) * 0.8, (2, 1))
    groups = np.repeat([0, 1], 200)[:, None]  # the same rows in both
    chosen = choose_offsets(logits, truth, groups, budget=0.01, min_group_size=30)
    assert not chosen.values.any()


def test_too_few_rows_of_a_group_are_insufficient():
    logits, truth, groups = skewed(0, 2.0, rows=40)
    chosen = choose_offsets(logits, truth, groups, budget=0.01, min_group_size=30)
    assert chosen.reason.startswith("insufficient: no attribute has two groups of 30 rows among 40")
    assert not chosen.values.any()


@pytest.mark.parametrize("classes", [3, 5])
def test_with_more_classes_the_missed_class_gets_the_largest_offset(classes):
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 400)
    last_share = np.where(groups == 1, 0.7, 0.1)
    truth = np.where(rng.random(800) < last_share, classes - 1, rng.integers(classes - 1, size=800))
    logits = 2.5 * np.eye(classes)[truth] + rng.normal(size=(800, classes)) * 0.8
    logits[:, -1] -= 1.5
    chosen = choose_offsets(logits, truth, groups[:, None], budget=0.01, min_group_size=30)
    assert chosen.values.argmax() == classes - 1
    assert chosen.after[1] < chosen.before[1] / 2
