"""Decisions from held-out rows, or from the agreement of the views where held-out rows are too few.

They settle whether class names choose the rows of round 1, how much the words count, and which round is kept.
"""

import math
from dataclasses import replace

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import agreement
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.scores import adjusted_balanced_accuracy, calibrated_log_loss, clearly_better
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.views import View

# Fewer held-out rows cannot tell a gain from chance: the standard error of an accuracy of 0.7 on 20 rows is 10 points.
MIN_DECISIVE_ROWS = 20
BRIER_TOLERANCE = 1e-3  # mean Brier scores that differ by less count as equal: rounding and ties lie below it
# Standard errors by which the Brier score of a later round may exceed the lowest one where class names choose the rows
# of round 1. They do so only if they suffice and the views agree, which is evidence beside these held-out rows.
NAMES_FIRST_TOLERANCE = 2.0
# Class names need more than this share of the first teacher's skill. With less, they are too often wrong for their
# better coverage of the classes to make up for it.
MIN_RELATIVE_SKILL = 0.5


def are_too_few(held_out_rows: int, params: PseudoLabel) -> bool:
    """Whether the agreement of the views decides, because held-out rows are too few and params ask for agreement."""
    return held_out_rows < MIN_DECISIVE_ROWS and params.min_agreement > 0


def decide_by_agreement(
    seeds: Seeds, view: View, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> tuple[TeacherEstimate, float | None, bool]:
    """The estimate with ``names_first`` decided, the views' kappa, and whether pseudo-labels are rejected.

    The kappa, 0 to 1, is that after a round 1 whose rows all seeds chose; it is None without a second view.
    Pseudo-labels are rejected where it is below ``params.min_agreement``. Without a second view, pseudo-labels are
    rejected, too. Otherwise class names choose the rows of round 1, unless the views then agree on clearly fewer pool
    rows.
    """
    by_all_seeds = agreement.predict_by_view(seeds, view, classes, estimate, params)
    kappa = None if by_all_seeds is None else agreement.cohen_kappa(by_all_seeds)
    rejected = len(view.pool) > 0 and (kappa is None or kappa < params.min_agreement)
    has_both_kinds = all(part.weights.any() for part in (seeds.only_class_names(), seeds.without_class_names()))
    if by_all_seeds is not None and not rejected and has_both_kinds and params.names_first:
        names_estimate = replace(estimate, names_first=True)
        by_names = agreement.predict_by_view(seeds, view, classes, names_estimate, params)
        if by_names is not None and agreement.agreement_z(by_names, by_all_seeds) > -1:
            estimate = names_estimate
    return estimate, kappa, rejected


def class_names_should_lead(
    seeds: Seeds, view: View, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> bool:
    """Whether the views agree on clearly more pool rows where class names chose the rows of round 1.

    The caller has tested on held-out rows that class names suffice. Without a second view that test decides, and the
    result is True. Without a pool it is False.
    """
    if len(view.pool) == 0:
        return False
    by_names, by_all_seeds = (
        agreement.predict_by_view(seeds, view, classes, replace(estimate, names_first=names_first), params)
        for names_first in (True, False)
    )
    return by_names is None or by_all_seeds is None or agreement.agreement_z(by_names, by_all_seeds) > 1


def class_names_suffice(names_logits: np.ndarray, first_logits: np.ndarray, truth: np.ndarray) -> bool:
    """Whether class names predict held-out rows well enough to choose the rows of round 1.

    ``names_logits`` and ``first_logits`` are (rows, classes), float32: those of a teacher of class names only, and of
    the first teacher, which learns from all seeds. ``truth`` is (rows,), int: class numbers. Class names must beat
    chance by more than a standard error, and have over half the skill of the first teacher.
    """
    chance = 1 / names_logits.shape[1]
    chance_error = math.sqrt(chance / (1 - chance) / len(truth)) if chance < 1 else 0.0  # standard error of the skill
    needed = max(chance_error, MIN_RELATIVE_SKILL * adjusted_balanced_accuracy(first_logits, truth))
    return adjusted_balanced_accuracy(names_logits, truth) > needed


def average_mix_weight(logits_by_mix_weight: dict[float, np.ndarray], truth: np.ndarray) -> float:
    """The mean of the mix weights that were tried, each weighted by the likelihood of ``truth`` under its logits.

    ``logits_by_mix_weight`` holds the logits, (rows, classes), float32, with each mix weight; ``truth`` is (rows,),
    int: class numbers. With many held-out rows the result is the best mix weight, with few it is near the middle.
    """
    losses = [calibrated_log_loss(logits, truth) for logits in logits_by_mix_weight.values()]
    log_likelihoods = -np.array(losses) * len(truth)
    weights = np.exp(log_likelihoods - log_likelihoods.max())
    return round(float(np.average(list(logits_by_mix_weight), weights=weights)), 4)


def last_round_unless_harmful(right: np.ndarray) -> int:
    """The number of the last round, or 0 where round 0 is clearly right more often.

    ``right`` is (rounds, rows), bool: whether each round is right about each row.
    """
    return 0 if clearly_better(right[0], right[-1]) else len(right) - 1


def best_round(scores: np.ndarray, tolerance: float) -> int:
    """The number of the round to keep: the last one that is as good as the best.

    ``scores`` is (rounds, rows), float64: Brier scores, 0 to 2. Round 0, which has no pseudo-labels, is kept
    unless another round is better by more than `BRIER_TOLERANCE`. A round is as good as the best in two cases. Its mean
    score is the lowest. Or its mean is at most ``tolerance`` standard errors of the difference above the lowest, and
    still a standard error below that of round 0.

    Brier scores decide because the alternatives are too coarse with few labels. One more right answer among 32 may be
    chance, and a single confident error decides a likelihood.
    """
    mean = scores.mean(axis=1)
    lowest = mean.min()
    if mean[0] <= lowest + BRIER_TOLERANCE:
        return 0

    def standard_errors(reference: int) -> np.ndarray:
        return np.std(scores - scores[reference], axis=1) / math.sqrt(scores.shape[1])

    is_lowest = mean <= lowest + BRIER_TOLERANCE
    within_tolerance = mean <= lowest + tolerance * standard_errors(int(mean.argmin()))
    beats_round_0 = mean + standard_errors(0) < mean[0]
    return int(np.flatnonzero(is_lowest | (within_tolerance & beats_round_0))[-1])
