"""How good each round is on labels it has not seen: the validation rows, or folds of the gold rows without them.

Where these are too few to tell, the two views of the texts must agree on the pool, too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from pipeline.calibration import fit_temperature
from pipeline.params import PseudoLabel
from pipeline.pseudo_label import agreement
from pipeline.pseudo_label.exams import Exam, Run, answers, everything, folds, named, silenced, sit, starts
from pipeline.pseudo_label.rounds import Belief
from pipeline.pseudo_label.scores import brier, clearly_better, loss, skill
from pipeline.pseudo_label.selection import gold_shares
from pipeline.pseudo_label.teacher import See, View
from pipeline.pseudo_label.views import Seeds

PRIOR_ROWS = 10  # held-out rows that params' trust is worth
SAME = 1e-3  # a difference of mean Brier scores that says nothing
# Standard errors by which a later round's score may exceed the least one where names of classes that passed their test
# led: that is evidence for the rounds beside the few rows that judge them. Without it, these rows alone decide.
PATIENCE = 2.0
FEW = 20  # held-out rows: fewer cannot tell a gain from chance (the standard error of an accuracy of 0.7 is 10 points)
ENOUGH = 0.5  # of the first teacher's skill: names of classes alone with more than that choose round 1's rows


@dataclass(frozen=True)
class Judgement:
    """What held-out labels say about the rounds, and where they are few, what the views say."""

    by: str  # "validation", "folds", or why there is none
    truth: np.ndarray  # (held-out rows,) class numbers
    predicted: np.ndarray  # (rounds, held-out rows) class numbers, round 0 first
    brier: np.ndarray  # (rounds,) mean Brier score, 0 to 2; by it the round is chosen, unless all are doubted
    best: int  # the round to keep; 0 = no pseudo-labels
    belief: Belief
    names: bool  # whether the names of the classes are heard
    asked: np.ndarray  # (held-out rows,) positions: of the validation rows, or of the seeds
    logits: np.ndarray  # (held-out rows, classes) of the round to keep
    agreement: float | None = None  # of the views on the pool, where held-out rows are few and there are two views
    doubted: bool = False  # held-out rows are few, and the views do not agree: no round is kept

    @property
    def kept_right(self) -> np.ndarray:
        """Which rows the round to keep answers rightly, (held-out rows,)."""
        return self.logits.argmax(axis=1) == self.truth

    @property
    def right(self) -> list[int] | None:
        """Right answers by round; None where no label was held out."""
        return (self.predicted == self.truth).sum(axis=1).tolist() if len(self.truth) else None


def judge(seeds: pd.DataFrame, validation: np.ndarray, see: See, classes: int, params: PseudoLabel) -> Judgement:
    """Judge by ``validation``, class numbers of the validation rows, or else by folds of the gold seeds.

    The mix of classes is that of all gold rows in every fold: with a row or two of each class, what a fold leaves of
    them says nothing of it.
    """
    gold = np.flatnonzero(seeds["origin"] == "gold")
    shares = gold_shares(seeds["target"].to_numpy(dtype=int)[gold], classes)

    @cache  # a fine-tuned view takes training, and every view a graph
    def whole(names: bool) -> tuple[Seeds, View]:
        return everything(seeds if names else silenced(seeds), see)

    if len(validation):
        lesson, view = whole(True)
        exam = Exam(lesson, view, view.validation, validation, np.arange(len(validation)))
        return examine("validation", [exam], whole, classes, shares, params)
    exams = list(folds(seeds, gold, see, params)) if len(gold) >= params.folds else []
    if exams:
        return examine("folds", exams, whole, classes, shares, params)
    nobody = Belief(1.0, params.trust, usual(params), shares=shares)
    agreed, doubted = doubt(0, lambda: whole(True), classes, nobody, params)
    return Judgement(
        "none: too few gold rows for folds",
        np.zeros(0, int),
        np.zeros((0, 0), int),
        np.zeros(0),
        params.rounds if len(whole(True)[1].pool) and not doubted else 0,
        nobody,
        bool(named(seeds).any()),
        np.zeros(0, int),
        np.zeros((0, classes)),
        agreed,
        doubted,
    )


def examine(
    by: str,
    exams: list[Exam],
    whole: Callable[[bool], tuple[Seeds, View]],
    classes: int,
    shares: np.ndarray,
    params: PseudoLabel,
) -> Judgement:
    """Let teachers answer what they have not seen: the first one for its trust, then those of all rounds.

    Names of classes are left out where they clearly hurt it, and choose the rows of round 1 where they know enough and
    lead the ``whole`` better: all seeds, with or without names, and the view of them. The first teacher hears words as
    far as they help it: where the vectors say little of the classes, a lot. The rounds are run with the words and
    without: words that say nothing would poison what the vectors know. With few rows to ask, views that do not agree
    leave no round to keep.
    """
    truth = np.concatenate([exam.answers for exam in exams])
    quiet = [exam.without_names() for exam in exams]
    heard = starts(exams, classes, params, usual(params))
    logits = answers(heard, 0, 0.0)
    taught = all((exam.seeds.weights > 0).any() for exam in quiet)  # where names are all there is, they are heard
    unnamed = answers(starts(quiet, classes, params), 0, 0.0) if taught else logits
    hurt = clearly_better(unnamed.argmax(axis=1) == truth, logits.argmax(axis=1) == truth)
    names = not hurt and any(exam.seeds.names_alone().weights.any() for exam in exams)
    if not names:
        exams, heard = quiet, starts(quiet, classes, params, usual(params))
    belief, logits = believe(heard, truth, params)
    belief = replace(belief, shares=shares)
    if names and params.names_first:
        by_names = answers(starts([exam.names_alone() for exam in exams], classes, params), 0, 0.0)
        able = know_enough(by_names, logits, truth)
        belief = replace(belief, names_first=able and agreement.lead_better(*whole(True), classes, belief, params))
    agreed, doubted = doubt(len(truth), lambda: whole(names), classes, belief, params)
    alone = replace(belief, part=0.0, first_part=0.0)
    asked = np.concatenate([exam.rows for exam in exams])

    def judged(runs: list[Run], own: Belief) -> Judgement:
        parts = [own.first_part, *[own.part] * (len(runs[0][1]) - 1)]
        said = [answers(runs, number, part) for number, part in enumerate(parts)]
        scores = np.stack([brier(logits, truth) for logits in said])
        kept = 0 if doubted else best(scores, PATIENCE if own.names_first else 0.0)
        guesses = np.stack([logits.argmax(axis=1) for logits in said])
        return Judgement(by, truth, guesses, scores.mean(axis=1), kept, own, names, asked, said[kept], agreed, doubted)

    without = judged(sit(exams, classes, alone, params), alone)
    if not params.words.parts:
        return without
    runs = sit(exams, classes, belief, params)
    part = mean_part({part: answers(runs, -1, part) for part in params.words.parts}, truth)
    both = judged(runs, replace(belief, part=part))
    # Where the rounds with words come to nothing, words must at least beat the rounds without them.
    idle = both.best == 0 and without.brier[without.best] <= both.brier[0]
    return without if idle or clearly_better(without.kept_right, both.kept_right) else both


def doubt(
    held: int, whole: Callable[[], tuple[Seeds, View]], classes: int, belief: Belief, params: PseudoLabel
) -> tuple[float | None, bool]:
    """How far the views agree on the pool where few rows are ``held`` out, and whether that is too little to go on.

    Where there is no second view to ask, it is.
    """
    if held >= FEW or params.min_agreement == 0:
        return None, False
    lesson, view = whole()
    agreed = agreement.measure(lesson, view, classes, belief, params)
    return agreed, len(view.pool) > 0 and (agreed is None or agreed < params.min_agreement)


def believe(runs: list[Run], truth: np.ndarray, params: PseudoLabel) -> tuple[Belief, np.ndarray]:
    """What the first teachers' answers on unseen rows say of them, and those answers, (rows, classes).

    The words get the part in them that the answers speak for, by more the more rows there are; a prior says that so few
    seeds share next to no word with another text. Temperature and trust look ahead, because the teachers of later
    rounds have learned from far more rows. The temperature is the root of the one that suits the first teacher. Trust
    is its mean recall over the classes, corrected for chance, and raised where that is high: rounds make a good teacher
    better, and a poor one only surer.
    """
    rows = len(truth)
    said = rows / (rows + PRIOR_ROWS)
    tried = {part: answers(runs, 0, part) for part in (0.0, *params.words.parts)}
    first_part = round(said * mean_part(tried, truth), 4)
    logits = answers(runs, 0, first_part)
    measured = skill(logits, truth)
    ahead = measured ** (1 - measured)
    temperature = fit_temperature(logits, truth) ** (said / 2)
    trust = said * ahead + (1 - said) * params.trust
    return Belief(temperature, trust, usual(params), first_part), logits


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


def usual(params: PseudoLabel) -> float:
    """The middle one of the parts that the words may have."""
    parts = sorted(params.words.parts or [0.0])
    return parts[len(parts) // 2]


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
