"""The choice of the round to keep, by held-out labels: those of the validation rows, or of folds of the gold rows.

Where held-out rows are too few, the agreement of the two views on the pool decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import brier_scores
from pipeline.stages.pseudo_label import decisions
from pipeline.stages.pseudo_label.class_prior import estimate_class_shares
from pipeline.stages.pseudo_label.cross_validation import (
    FittedSplit,
    HeldOutSplit,
    all_seeds_and_view,
    class_name_mask,
    fit_first_teachers,
    fit_rounds,
    held_out_logits,
    split_into_folds,
    without_class_names,
)
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.scores import clearly_better
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.teacher_estimate import default_mix_weight, estimate_teacher
from pipeline.stages.pseudo_label.views import View, ViewBuilder

# Returns all seeds and the view of them; class names have weight only if the argument is True.
SeedsAndView = Callable[[bool], tuple[Seeds, View]]


@dataclass(frozen=True)
class RoundChoice:
    """The round to keep, the estimate that its teachers are fitted with, and the evidence for the choice."""

    decided_by: str  # "validation", "folds", or why no label is held out
    truth: np.ndarray  # (rows,) int, class numbers
    predicted: np.ndarray  # (rounds, rows) int, class numbers, round 0 first
    mean_brier: np.ndarray  # (rounds,) float64, mean Brier score, 0 to 2
    kept_round: int  # 0 = no pseudo-labels
    estimate: TeacherEstimate
    uses_class_names: bool  # whether class names have any weight among the seeds
    positions: np.ndarray  # (rows,) int, positions among the validation rows, or among the seeds for folds
    logits: np.ndarray  # (rows, classes) float32, of the kept round
    agreement: float | None = None  # Cohen's kappa of the views, where it decides and there are two views
    rejected: bool = False  # whether pseudo-labels are rejected, because the views do not agree enough
    fold: np.ndarray | None = None  # (rows,) int, the number of the split that holds each row out

    @property
    def kept_right(self) -> np.ndarray:
        """Whether the kept round is right about each row, (rows,) bool."""
        return self.logits.argmax(axis=1) == self.truth

    @property
    def right_by_round(self) -> list[int] | None:
        """Number of right predictions of each round; None where no label is held out."""
        return (self.predicted == self.truth).sum(axis=1).tolist() if len(self.truth) else None


def select_round(
    seeds: pd.DataFrame, validation: np.ndarray, build_view: ViewBuilder, classes: int, params: PseudoLabel
) -> RoundChoice:
    """The choice of the round by the validation rows, or else by folds of the gold rows.

    ``validation`` is (validation rows,), int: the class numbers of the validation rows. Folds decide where there are no
    validation rows, and where only the gold rows number `MIN_DECISIVE_ROWS` at least. The expected class shares are
    those of all gold rows in every fold: a fold keeps too few rows of each class to estimate them from.
    """
    gold = np.flatnonzero(seeds["origin"] == "gold")
    shares = estimate_class_shares(seeds["target"].to_numpy(dtype=int)[gold], classes)

    @cache  # a fine-tuned view takes a training, and every view a graph
    def seeds_and_view(class_names: bool) -> tuple[Seeds, View]:
        return all_seeds_and_view(seeds if class_names else without_class_names(seeds), build_view)

    only_gold_decisive = len(validation) < decisions.MIN_DECISIVE_ROWS <= len(gold)
    if len(validation) and not only_gold_decisive:
        all_seeds, view = seeds_and_view(True)
        split = HeldOutSplit(all_seeds, view, view.validation, validation, np.arange(len(validation)))
        return select_round_by_splits("validation", [split], seeds_and_view, classes, shares, params)
    splits = list(split_into_folds(seeds, gold, build_view, params)) if len(gold) >= params.folds else []
    if splits:
        return select_round_by_splits("folds", splits, seeds_and_view, classes, shares, params)
    uses_class_names = bool(class_name_mask(seeds).any())
    return select_round_without_labels(*seeds_and_view(True), uses_class_names, classes, shares, params)


def select_round_without_labels(
    seeds: Seeds, view: View, uses_class_names: bool, classes: int, shares: np.ndarray, params: PseudoLabel
) -> RoundChoice:
    """The choice where no label can be held out: the last round, unless the views do not agree enough.

    ``shares`` is (classes,), float64: the expected class shares.
    """
    estimate = TeacherEstimate(1.0, params.teacher_reliability, default_mix_weight(params), class_shares=shares)
    agreement, rejected = None, False
    if decisions.are_too_few(0, params):
        estimate, agreement, rejected = decisions.decide_by_agreement(seeds, view, classes, estimate, params)
    return RoundChoice(
        decided_by="none: too few gold rows for folds",
        truth=np.zeros(0, int),
        predicted=np.zeros((0, 0), int),
        mean_brier=np.zeros(0),
        kept_round=params.rounds if len(view.pool) and not rejected else 0,
        estimate=estimate,
        uses_class_names=uses_class_names,
        positions=np.zeros(0, int),
        logits=np.zeros((0, classes)),
        agreement=agreement,
        rejected=rejected,
    )


@dataclass(frozen=True)
class HeldOutEvidence:
    """What is the same for every choice by held-out rows."""

    decided_by: str  # "validation" or "folds"
    splits: list[HeldOutSplit]
    truth: np.ndarray  # (rows,) int, class numbers
    uses_class_names: bool
    agreement: float | None  # Cohen's kappa of the views, where it decides and there are two views
    rejected: bool  # whether pseudo-labels are rejected, because the views do not agree enough


def select_round_by_splits(
    decided_by: str,
    splits: list[HeldOutSplit],
    seeds_and_view: SeedsAndView,
    classes: int,
    shares: np.ndarray,
    params: PseudoLabel,
) -> RoundChoice:
    """The choice by the held-out rows of the ``splits``; ``decided_by`` is "validation" or "folds".

    ``shares`` is (classes,), float64: the expected class shares. The first teachers show whether class names help and
    how reliable teachers are. Then it is decided whether class names choose the rows of round 1, and at last which
    round is kept.
    """
    truth = np.concatenate([split.labels for split in splits])
    uses_class_names, splits, first = drop_harmful_class_names(splits, truth, classes, params)
    estimate, first_logits = estimate_teacher(first, truth, params)
    estimate = replace(estimate, class_shares=shares)
    agreement, rejected = None, False
    if decisions.are_too_few(len(truth), params):
        seeds, view = seeds_and_view(uses_class_names)
        estimate, agreement, rejected = decisions.decide_by_agreement(seeds, view, classes, estimate, params)
    elif uses_class_names and params.names_first:
        fitted = fit_first_teachers([split.only_class_names() for split in splits], classes, params)
        suffice = decisions.class_names_suffice(held_out_logits(fitted, 0, 0.0), first_logits, truth)
        lead = suffice and decisions.class_names_should_lead(*seeds_and_view(True), classes, estimate, params)
        estimate = replace(estimate, names_first=lead)
    evidence = HeldOutEvidence(decided_by, splits, truth, uses_class_names, agreement, rejected)
    return choose_with_or_without_words(evidence, classes, estimate, params)


def drop_harmful_class_names(
    splits: list[HeldOutSplit], truth: np.ndarray, classes: int, params: PseudoLabel
) -> tuple[bool, list[HeldOutSplit], list[FittedSplit]]:
    """Whether class names are used, the splits with or without them, and the first teachers of these splits.

    ``truth`` is (rows,), int: class numbers. Class names are dropped where a probe without them is clearly
    right more often, and where none has any weight. They stay where a split has no other seeds.
    """
    mix_weight = default_mix_weight(params)
    unnamed_splits = [split.without_class_names() for split in splits]
    fitted = fit_first_teachers(splits, classes, params, mix_weight)
    logits = held_out_logits(fitted, 0, 0.0)
    harmful = False
    if all((split.seeds.weights > 0).any() for split in unnamed_splits):
        unnamed_logits = held_out_logits(fit_first_teachers(unnamed_splits, classes, params), 0, 0.0)
        harmful = clearly_better(unnamed_logits.argmax(axis=1) == truth, logits.argmax(axis=1) == truth)
    if not harmful and any(split.seeds.only_class_names().weights.any() for split in splits):
        return True, splits, fitted
    return False, unnamed_splits, fit_first_teachers(unnamed_splits, classes, params, mix_weight)


def choose_with_or_without_words(
    evidence: HeldOutEvidence, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> RoundChoice:
    """The better choice of the rounds with words and the rounds without them.

    Rounds are fitted without words, too, because uninformative words would spoil the labels that vectors give.
    """
    no_words = replace(estimate, mix_weight=0.0, first_mix_weight=0.0)
    without_words = choose_round(evidence, fit_rounds(evidence.splits, classes, no_words, params), no_words, params)
    if not params.words.mix_weights:
        return without_words
    fitted = fit_rounds(evidence.splits, classes, estimate, params)
    tried = {mix_weight: held_out_logits(fitted, -1, mix_weight) for mix_weight in params.words.mix_weights}
    mix_weight = decisions.average_mix_weight(tried, evidence.truth)
    with_words = choose_round(evidence, fitted, replace(estimate, mix_weight=mix_weight), params)
    # Where no round with words is kept, round 0 with words must still beat the kept round without words.
    if decisions.are_too_few(len(evidence.truth), params) and not evidence.rejected:
        without_is_better = without_words.kept_round > 0
    else:
        without_is_better = without_words.mean_brier[without_words.kept_round] <= with_words.mean_brier[0]
    if with_words.kept_round == 0 and without_is_better:
        return without_words
    return without_words if clearly_better(without_words.kept_right, with_words.kept_right) else with_words


def choose_round(
    evidence: HeldOutEvidence, fitted: list[FittedSplit], estimate: TeacherEstimate, params: PseudoLabel
) -> RoundChoice:
    """The choice among the ``fitted`` rounds.

    With enough held-out rows, their Brier scores decide. With too few, the last round is kept unless it is clearly
    right less often than round 0; none is kept where the views do not agree enough.
    """
    truth = evidence.truth
    mix_weights = [estimate.first_mix_weight, *[estimate.mix_weight] * (len(fitted[0].rounds) - 1)]
    logits_by_round = [held_out_logits(fitted, number, weight) for number, weight in enumerate(mix_weights)]
    scores = np.stack([brier_scores(logits, truth) for logits in logits_by_round])
    predicted = np.stack([logits.argmax(axis=1) for logits in logits_by_round])
    if evidence.rejected:
        kept = 0
    elif decisions.are_too_few(len(truth), params):
        kept = decisions.last_round_unless_harmful(predicted == truth)
    else:
        kept = decisions.best_round(scores, decisions.NAMES_FIRST_TOLERANCE if estimate.names_first else 0.0)
    return RoundChoice(
        decided_by=evidence.decided_by,
        truth=truth,
        predicted=predicted,
        mean_brier=scores.mean(axis=1),
        kept_round=kept,
        estimate=estimate,
        uses_class_names=evidence.uses_class_names,
        positions=np.concatenate([split.positions for split in evidence.splits]),
        logits=logits_by_round[kept],
        agreement=evidence.agreement,
        rejected=evidence.rejected,
        fold=np.repeat(np.arange(len(evidence.splits)), [len(split.labels) for split in evidence.splits]),
    )
