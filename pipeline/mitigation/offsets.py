"""Scores moved by class after training, the same for everybody, to bring the accuracy of groups nearer to each other.

Fairlearn's ThresholdOptimizer (Hardt et al. 2016) has thresholds of its own for each group and so asks for the group of
whoever is judged. Here the group is never a model input: the served model does not know it, mostly nobody does, and in
many places it may not be asked. So one offset a class is added to the logits of all; groups are looked at when it is
chosen, not when it is used. It can do less: what two groups share it moves for both.
"""

from dataclasses import dataclass

import numpy as np

STEPS = 41  # offsets tried for each class, from -REACH to REACH
REACH = 2.0  # times the spread of the logits
PASSES = 2  # over the classes
HALVES = 10  # times that the rows are halved, to see whether a choice holds on rows that it was not made on


@dataclass(frozen=True)
class Offsets:
    """What to add to the logits, (classes,), and what that did to the rows it was chosen on."""

    values: np.ndarray
    reason: str  # why they are all zero, or where they come from
    before: tuple[float, float] | None = None  # accuracy and gap
    after: tuple[float, float] | None = None
    held: float | None = None  # mean change of the gap on rows that had no say; below 0: it shrank


def choose(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, least: int, seed: int = 0
) -> Offsets:
    """Offsets with the least gap among those whose accuracy stays within ``budget`` of the best found.

    ``logits`` (rows, classes), ``truth`` class numbers (rows,), ``groups`` (rows, attributes) group numbers, -1 where
    unknown. The gap is that of fairness: the largest difference of accuracy between two groups of an attribute with
    ``least`` rows each. All zero where there are no two such groups, or where on halves of the rows that had no say the
    gap did not shrink.
    """
    nothing = np.zeros(logits.shape[1])
    before = score(logits, truth, groups, least)
    if np.isnan(before[1]):
        return Offsets(nothing, f"insufficient: no attribute has two groups of {least} rows among {len(truth)}")
    change = float(np.mean(halves(logits, truth, groups, budget, least, seed)))
    if not change < 0:
        return Offsets(
            nothing, f"none kept: on rows that had no say the gap moved by {change:+.3f}", before, held=change
        )
    values = search(logits, truth, groups, budget, least)
    return Offsets(values, "chosen", before, score(logits + values, truth, groups, least), change)


def halves(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, least: int, seed: int
) -> list[float]:
    """Changes of the gap on one half of the rows by offsets chosen on the other; groups need half as many rows."""
    rng, changes = np.random.default_rng(seed), []
    few = max(1, least // 2)
    for _ in range(HALVES):
        order = rng.permutation(len(truth))
        for ours, theirs in (np.array_split(order, 2), np.array_split(order, 2)[::-1]):
            values = search(logits[ours], truth[ours], groups[ours], budget, few)
            gaps = [
                score(one, truth[theirs], groups[theirs], few)[1] for one in (logits[theirs], logits[theirs] + values)
            ]
            changes.append(gaps[1] - gaps[0])
    told = [change for change in changes if not np.isnan(change)]
    return told or [0.0]


def search(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, least: int) -> np.ndarray:
    """Coordinate descent over the classes: each takes the offset with the least gap within the budget.

    Of equal ones the most accurate, then the smallest is taken. With two classes only their difference counts, and one
    is moved.
    """
    values = np.zeros(logits.shape[1])
    floor = score(logits, truth, groups, least)[0] - budget
    grid = np.linspace(-REACH, REACH, STEPS) * max(float(logits.std()), 1e-6)
    for _ in range(PASSES if logits.shape[1] > 2 else 1):
        for label in range(logits.shape[1] if logits.shape[1] > 2 else 1):
            tried = []
            for offset in grid:
                moved = values.copy()
                moved[label] = offset
                accuracy, gap = score(logits + moved, truth, groups, least)
                if accuracy >= floor - 1e-12 and not np.isnan(gap):
                    tried.append((round(gap, 9), -accuracy, abs(offset), offset))
            if tried:
                values[label] = min(tried)[-1]
    return values


def score(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, least: int) -> tuple[float, float]:
    """Accuracy, and the largest gap of it between groups of one attribute; NaN where no attribute has two of them."""
    right = logits.argmax(axis=1) == truth
    gaps = [np.nan]
    for column in groups.T:
        sizes = np.bincount(column[column >= 0], minlength=1)
        hits = np.bincount(column[column >= 0], weights=right[column >= 0], minlength=1)
        shares = hits[sizes >= least] / sizes[sizes >= least]
        if len(shares) > 1:
            gaps.append(float(shares.max() - shares.min()))
    return float(right.mean()), float(np.nan if len(gaps) == 1 else np.nanmax(gaps))
