"""What held-out labels decide, and the views of the pool where these are too few to tell.

Who chooses the rows of round 1, how much say the words get, and which round is kept.
"""

import math
from dataclasses import replace

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import agreement
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.scores import clearly_better, loss, skill
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.views import View

SAME = 1e-3  # a difference of mean Brier scores that says nothing
# Standard errors by which a later round's score may exceed the least one where names of classes that passed their test
# led: that is evidence for the rounds beside the few rows that judge them. Without it, these rows alone decide.
PATIENCE = 2.0
FEW = 20  # held-out rows: fewer cannot tell a gain from chance (the standard error of an accuracy of 0.7 is 10 points)
ENOUGH = 0.5  # of the first teacher's skill: names of classes alone with more than that choose round 1's rows


def is_few(held: int, params: PseudoLabel) -> bool:
    """Whether so few rows are held out that the views decide, as params want it."""
    return held < FEW and params.min_agreement > 0


def consult(
    lesson: Seeds, view: View, classes: int, belief: TeacherEstimate, params: PseudoLabel
) -> tuple[TeacherEstimate, float | None, bool]:
    """What the views say where held-out rows are few: who leads round 1, how far they agree, and whether too little.

    They are asked after a round 1 that all seeds led, and it is too little without a second view. If it is enough,
    names of classes lead unless the views agree on clearly fewer rows of the pool after a round 1 that names led.
    """
    plain = agreement.calls(lesson, view, classes, belief, params)
    agreed = None if plain is None else agreement.kappa(plain)
    doubted = len(view.pool) > 0 and (agreed is None or agreed < params.min_agreement)
    choice = all(part.weights.any() for part in (lesson.names_alone(), lesson.without_names()))
    if plain is not None and not doubted and choice and params.names_first:
        by_names = replace(belief, names_first=True)
        led = agreement.calls(lesson, view, classes, by_names, params)
        belief = by_names if led is not None and agreement.ahead(led, plain) > -1 else belief
    return belief, agreed, doubted


def names_lead(lesson: Seeds, view: View, classes: int, belief: TeacherEstimate, params: PseudoLabel) -> bool:
    """Whether the views agree on clearly more rows of the pool after a round 1 that names led than all seeds.

    With one view alone names lead: the caller has asked held-out rows whether they are able to.
    """
    if len(view.pool) == 0:
        return False
    led, plain = (
        agreement.calls(lesson, view, classes, replace(belief, names_first=first), params) for first in (True, False)
    )
    return led is None or plain is None or agreement.ahead(led, plain) > 1


def know_enough(names: np.ndarray, everything: np.ndarray, truth: np.ndarray) -> bool:
    """Whether names of classes alone may choose the rows of round 1, by logits on unseen rows, (rows, classes).

    They must be better than guessing by more than a standard error, and have over half the first teacher's skill, which
    has learned from everything.
    """
    chance = 1 / names.shape[1]
    guessing = math.sqrt(chance / (1 - chance) / len(truth)) if chance < 1 else 0.0  # standard error of a guess's skill
    return skill(names, truth) > max(guessing, ENOUGH * skill(everything, truth))


def mean_part(logits: dict[float, np.ndarray], truth: np.ndarray) -> float:
    """The words' part: the mean of those tried, each by the likelihood of the truth under its logits, (rows, classes).

    With many held-out rows the best one is taken, with few the middle.
    """
    likelihood = -np.array([loss(tried, truth) for tried in logits.values()]) * len(truth)
    weights = np.exp(likelihood - likelihood.max())
    return round(float(np.average(list(logits), weights=weights)), 4)


def last_unless_harmed(right: np.ndarray) -> int:
    """The last round, or round 0 where that is clearly right more often on held-out rows, (rounds, rows)."""
    return 0 if clearly_better(right[0], right[-1]) else len(right) - 1


def best(scores: np.ndarray, patience: float) -> int:
    """The round to keep, by Brier scores of each on held-out rows, (rounds, rows): the last one as good as the best.

    Round 0, which has no pseudo-labels, where none is better by more than ``SAME``. As good as the best: its mean is
    the least, or above it by no more than ``patience`` standard errors of the difference and still below that of round
    0 by a standard error. With few labels right answers are counted in steps too coarse (of 32 rows, a round with one
    more may be chance), and one sure mistake decides the likelihood.
    """
    mean = scores.mean(axis=1)
    if mean[0] <= mean.min() + SAME:
        return 0

    def error(other: int) -> np.ndarray:
        return np.std(scores - scores[other], axis=1) / math.sqrt(scores.shape[1])

    least = mean <= mean.min() + SAME
    near = (mean <= mean.min() + patience * error(int(mean.argmin()))) & (mean + error(0) < mean[0])
    return int(np.flatnonzero(least | near)[-1])
