"""How good each round is on labels it has not seen: the validation rows, or folds of the gold rows without them.

Where these are too few to tell, the two views of the texts decide by how far they agree on the pool.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.metrics.calibration import fit_temperature
from pipeline.stages.pseudo_label import decisions
from pipeline.stages.pseudo_label.cross_validation import (
    Exam,
    Run,
    answers,
    everything,
    folds,
    named,
    silenced,
    sit,
    starts,
)
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.scores import brier, clearly_better, skill
from pipeline.stages.pseudo_label.selection import gold_shares
from pipeline.stages.pseudo_label.teacher import Seeds
from pipeline.stages.pseudo_label.views import See, View

PRIOR_ROWS = 10  # held-out rows that params' trust is worth


@dataclass(frozen=True)
class Judgement:
    """What held-out labels say about the rounds, and where they are few, what the views say."""

    by: str  # "validation", "folds", or why there is none
    truth: np.ndarray  # (held-out rows,) class numbers
    predicted: np.ndarray  # (rounds, held-out rows) class numbers, round 0 first
    brier: np.ndarray  # (rounds,) mean Brier score, 0 to 2; by it the round is chosen, unless held-out rows are few
    best: int  # the round to keep; 0 = no pseudo-labels
    belief: TeacherEstimate
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

    gold_alone = len(validation) < decisions.FEW <= len(gold)  # the gold rows can tell, so few validation rows cannot
    if len(validation) and not gold_alone:
        lesson, view = whole(True)
        exam = Exam(lesson, view, view.validation, validation, np.arange(len(validation)))
        return examine("validation", [exam], whole, classes, shares, params)
    exams = list(folds(seeds, gold, see, params)) if len(gold) >= params.folds else []
    if exams:
        return examine("folds", exams, whole, classes, shares, params)
    return unexamined(seeds, *whole(True), classes, shares, params)


def unexamined(
    seeds: pd.DataFrame, lesson: Seeds, view: View, classes: int, shares: np.ndarray, params: PseudoLabel
) -> Judgement:
    """Where no row can be held out, the views decide: who leads, and whether the last round is kept."""
    belief = TeacherEstimate(1.0, params.teacher_reliability, usual(params), shares=shares)
    agreed, doubted = None, False
    if decisions.is_few(0, params):
        belief, agreed, doubted = decisions.consult(lesson, view, classes, belief, params)
    return Judgement(
        by="none: too few gold rows for folds",
        truth=np.zeros(0, int),
        predicted=np.zeros((0, 0), int),
        brier=np.zeros(0),
        best=params.rounds if len(view.pool) and not doubted else 0,
        belief=belief,
        names=bool(named(seeds).any()),
        asked=np.zeros(0, int),
        logits=np.zeros((0, classes)),
        agreement=agreed,
        doubted=doubted,
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
    without: words that say nothing would poison what the vectors know.

    Few rows tell neither who should lead nor which round is best. Where the views then agree, they say who leads, and
    the last round is kept unless it is clearly right less often than no pseudo-labels; where they do not, none is kept.
    """
    truth = np.concatenate([exam.answers for exam in exams])
    few = decisions.is_few(len(truth), params)
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
    agreed, doubted = None, False
    if few:
        belief, agreed, doubted = decisions.consult(*whole(names), classes, belief, params)
    elif names and params.names_first:
        by_names = answers(starts([exam.names_alone() for exam in exams], classes, params), 0, 0.0)
        able = decisions.know_enough(by_names, logits, truth)
        belief = replace(belief, names_first=able and decisions.names_lead(*whole(True), classes, belief, params))
    alone = replace(belief, part=0.0, first_part=0.0)
    asked = np.concatenate([exam.rows for exam in exams])

    def judged(runs: list[Run], own: TeacherEstimate) -> Judgement:
        parts = [own.first_part, *[own.part] * (len(runs[0][1]) - 1)]
        said = [answers(runs, number, part) for number, part in enumerate(parts)]
        scores = np.stack([brier(logits, truth) for logits in said])
        guesses = np.stack([logits.argmax(axis=1) for logits in said])
        if doubted:
            kept = 0
        elif few:
            kept = decisions.last_unless_harmed(guesses == truth)
        else:
            kept = decisions.best(scores, decisions.PATIENCE if own.names_first else 0.0)
        return Judgement(by, truth, guesses, scores.mean(axis=1), kept, own, names, asked, said[kept], agreed, doubted)

    without = judged(sit(exams, classes, alone, params), alone)
    if not params.words.mix_weights:
        return without
    runs = sit(exams, classes, belief, params)
    part = decisions.mean_part({part: answers(runs, -1, part) for part in params.words.mix_weights}, truth)
    both = judged(runs, replace(belief, part=part))
    # Where the rounds with words come to nothing, words must at least beat the rounds without them.
    better = without.best > 0 if few and not doubted else without.brier[without.best] <= both.brier[0]
    idle = both.best == 0 and better
    return without if idle or clearly_better(without.kept_right, both.kept_right) else both


def believe(runs: list[Run], truth: np.ndarray, params: PseudoLabel) -> tuple[TeacherEstimate, np.ndarray]:
    """What the first teachers' answers on unseen rows say of them, and those answers, (rows, classes).

    The words get the part in them that the answers speak for, by more the more rows there are; a prior says that so few
    seeds share next to no word with another text. Temperature and trust look ahead, because the teachers of later
    rounds have learned from far more rows. The temperature is the root of the one that suits the first teacher. Trust
    is its mean recall over the classes, corrected for chance, and raised where that is high: rounds make a good teacher
    better, and a poor one only surer.
    """
    rows = len(truth)
    said = rows / (rows + PRIOR_ROWS)
    tried = {part: answers(runs, 0, part) for part in (0.0, *params.words.mix_weights)}
    first_part = round(said * decisions.mean_part(tried, truth), 4)
    logits = answers(runs, 0, first_part)
    measured = skill(logits, truth)
    ahead = measured ** (1 - measured)
    temperature = fit_temperature(logits, truth) ** (said / 2)
    trust = said * ahead + (1 - said) * params.teacher_reliability
    return TeacherEstimate(temperature, trust, usual(params), first_part), logits


def usual(params: PseudoLabel) -> float:
    """The middle one of the parts that the words may have."""
    parts = sorted(params.words.mix_weights or [0.0])
    return parts[len(parts) // 2]
