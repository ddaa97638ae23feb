"""Class offsets: constants added to the logits after training, the same for everybody, to narrow the group gap.

Fairlearn's ThresholdOptimizer (Hardt et al. 2016) has separate thresholds for each group, so it needs the group of
every text that is classified. Here the group is never a model input: at serving time it is mostly unknown, and in many
places it may not be asked for. Groups are used only to choose the offsets. The price: what two groups share moves for
both.
"""

from dataclasses import dataclass

import numpy as np

# These say only how thoroughly offsets are searched and checked. What they aim for is in params: the budget and the
# least size of a group.
GRID_POINTS = 41  # offsets tried for each class, from -GRID_REACH to GRID_REACH
GRID_REACH = 2.0  # in standard deviations of the logits
PASSES = 2  # over the classes: the second corrects a class for the offsets of the classes after it
HALVINGS = 10  # random halvings of the rows, each used in both directions, to see whether a choice generalises


@dataclass(frozen=True)
class ClassOffsets:
    """The offset of each class, (classes,), float64, and what they do to the rows on which they were chosen."""

    values: np.ndarray
    reason: str  # where they come from, or why they are all zero
    before: tuple[float, float] | None = None  # accuracy and gap, both 0 to 1
    after: tuple[float, float] | None = None  # the same with the offsets
    held_out_change: float | None = None  # mean change of the gap on held-out halves; below 0: it shrank


def choose_offsets(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, min_group_size: int, seed: int = 0
) -> ClassOffsets:
    """The offsets with the smallest gap among those that lower the accuracy by at most ``budget`` (0 to 1).

    ``logits`` (rows, classes), float; ``truth`` (rows,), int, are class indices; ``groups`` (rows, attributes), int,
    are group codes, -1 where unknown. The gap is the one of the fairness stage: the largest difference of accuracy
    between two groups of an attribute that have ``min_group_size`` rows each.

    All offsets are zero where no attribute has two such groups, and where the gap does not shrink on held-out halves of
    the rows.
    """
    zeros = np.zeros(logits.shape[1])
    before = accuracy_and_gap(logits, truth, groups, min_group_size)
    if np.isnan(before[1]):
        return ClassOffsets(
            zeros, f"insufficient: no attribute has two groups of {min_group_size} rows among {len(truth)}"
        )
    change = float(np.mean(held_out_gap_changes(logits, truth, groups, budget, min_group_size, seed)))
    if not change < 0:
        reason = f"none kept: on rows that had no say the gap moved by {change:+.3f}"
        return ClassOffsets(zeros, reason, before, held_out_change=change)
    values = search_offsets(logits, truth, groups, budget, min_group_size)
    after = accuracy_and_gap(logits + values, truth, groups, min_group_size)
    return ClassOffsets(values, "chosen", before, after, change)


def held_out_gap_changes(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, min_group_size: int, seed: int
) -> list[float]:
    """How far the gap changes on one half of the rows by offsets chosen on the other half, for each halving.

    ``logits`` (rows, classes), float, ``truth`` (rows,), int, and ``groups`` (rows, attributes), int, are those of
    `choose_offsets`. In a half, groups need only half of ``min_group_size`` rows. A single 0 stands for no measurement.
    """
    rng, changes = np.random.default_rng(seed), []
    min_rows = max(1, min_group_size // 2)
    for _ in range(HALVINGS):
        first, second = np.array_split(rng.permutation(len(truth)), 2)
        for chosen_on, held_out in ((first, second), (second, first)):
            values = search_offsets(logits[chosen_on], truth[chosen_on], groups[chosen_on], budget, min_rows)
            before, after = (
                accuracy_and_gap(logits[held_out] + offsets, truth[held_out], groups[held_out], min_rows)[1]
                for offsets in (0.0, values)
            )
            changes.append(after - before)
    return [change for change in changes if not np.isnan(change)] or [0.0]


def search_offsets(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, budget: float, min_group_size: int
) -> np.ndarray:
    """The offsets found by coordinate descent, (classes,), float64.

    ``logits`` (rows, classes), float, ``truth`` (rows,), int, and ``groups`` (rows, attributes), int, are those of
    `choose_offsets`. Each class in turn takes the offset with the smallest gap within the budget; of equal gaps the
    most accurate, then the smallest. Of two classes only one is moved, because only their difference counts.
    """
    classes = logits.shape[1]
    values = np.zeros(classes)
    min_accuracy = accuracy_and_gap(logits, truth, groups, min_group_size)[0] - budget
    grid = np.linspace(-GRID_REACH, GRID_REACH, GRID_POINTS) * max(float(logits.std()), 1e-6)
    for _ in range(PASSES if classes > 2 else 1):
        for label in range(classes if classes > 2 else 1):
            candidates = []
            for offset in grid:
                moved = values.copy()
                moved[label] = offset
                accuracy, gap = accuracy_and_gap(logits + moved, truth, groups, min_group_size)
                if accuracy >= min_accuracy - 1e-12 and not np.isnan(gap):
                    candidates.append((round(gap, 9), -accuracy, abs(offset), offset))
            if candidates:
                values[label] = min(candidates)[-1]
    return values


def accuracy_and_gap(
    logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, min_group_size: int
) -> tuple[float, float]:
    """Accuracy, and its largest gap between two groups of an attribute, both 0 to 1.

    ``logits`` (rows, classes), float, ``truth`` (rows,), int, and ``groups`` (rows, attributes), int, are those of
    `choose_offsets`. The gap is NaN where no attribute has two groups of ``min_group_size`` rows.
    """
    correct = logits.argmax(axis=1) == truth
    gaps = [np.nan]
    for codes in groups.T:
        sizes = np.bincount(codes[codes >= 0], minlength=1)
        hits = np.bincount(codes[codes >= 0], weights=correct[codes >= 0], minlength=1)
        accuracy_by_group = hits[sizes >= min_group_size] / sizes[sizes >= min_group_size]
        if len(accuracy_by_group) > 1:
            gaps.append(float(accuracy_by_group.max() - accuracy_by_group.min()))
    return float(correct.mean()), float(np.nan if len(gaps) == 1 else np.nanmax(gaps))
