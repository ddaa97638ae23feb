"""Choices by rows whose label no head has learned from: who leads the first heads, and whether pseudo-labels are kept.

There is one rule. A default stays unless something else is right more often by `CLEAR` standard errors (McNemar 1947).
Where labels are too few to tell, it is prior knowledge that decides, and the defaults are what it says.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.core.stage import progress
from pipeline.metrics.calibration import brier_scores, softmax
from pipeline.stages.pseudo_label.features import Texts
from pipeline.stages.pseudo_label.heads import fit_linear
from pipeline.stages.pseudo_label.rounds import LEADS, Round, Seeds, SelfTraining
from pipeline.text.class_names import doubt_meaning

CLEAR = 1.5  # standard errors of the difference
MIN_FOLD_ROWS = 8  # gold rows: fewer leave a fold without most classes
ONE_CLASS_SHARE = 0.95  # of a pool that names call the same class: such names say little


@dataclass(frozen=True)
class Split:
    """Seeds that heads learn from, and held-out rows."""

    kept: np.ndarray  # (kept seeds,) int, positions among the seeds
    held_out: np.ndarray  # (rows,) int, positions among the seeds, or among the validation rows
    texts: Texts  # of the held-out rows
    labels: np.ndarray  # (rows,) int, class numbers


@dataclass(frozen=True)
class Choice:
    """The round to keep, and the evidence: what each round says of the held-out rows."""

    decided_by: str  # "validation", "folds", or why no label is held out
    lead: str  # a key of LEADS
    kept_round: int  # 0 = no pseudo-labels
    positions: np.ndarray  # (rows,) int, positions among the validation rows, or among the seeds for folds
    fold: np.ndarray  # (rows,) int, the number of the split that holds each row out
    truth: np.ndarray  # (rows,) int, class numbers
    logits: np.ndarray  # (rounds, rows, classes) float32, round 0 first

    @property
    def right(self) -> np.ndarray:
        """Whether each round is right about each held-out row, (rounds, rows) bool."""
        return self.logits.argmax(axis=2) == self.truth

    @property
    def mean_brier(self) -> list[float]:
        """The mean Brier score of each round, 0 to 2."""
        return [float(brier_scores(logits, self.truth).mean()) for logits in self.logits]


def choose(right: Sequence[np.ndarray]) -> int:
    """The number of the option to take: 0, the default, unless another is clearly right more often.

    ``right`` holds (rows,), bool, for each option: whether it is right about each held-out row.
    """
    best = 0
    for number in range(1, len(right)):
        wins, losses = int((right[number] & ~right[best]).sum()), int((right[best] & ~right[number]).sum())
        if wins - losses > CLEAR * math.sqrt(wins + losses):
            best = number
    return best


def doubt_names(names: Sequence[str], answers: np.ndarray) -> str:
    """Why names say little, in a sentence; empty if nothing speaks against them.

    ``names`` are the descriptions or names of the classes; ``answers`` is (pool rows,), int: the classes that a head of
    names alone gives to the pool.
    """
    if doubt := doubt_meaning(names):
        return doubt
    if len(names) > 1 and len(answers) and np.bincount(answers).max() > ONE_CLASS_SHARE * len(answers):
        return f"by names alone, more than {ONE_CLASS_SHARE:.0%} of the pool is of one class"
    return ""


def split_gold(seeds: Seeds, sources: np.ndarray, gold: np.ndarray, params: PseudoLabel) -> list[Split]:
    """One split for each fold of the gold rows; none where there are too few.

    ``gold`` is (gold rows,), int: positions among the seeds. ``sources`` is (seeds,), str: rows that derive from a
    held-out row are left out of its split. The rows of a class lie in the folds as evenly as possible.
    """
    if len(gold) < MIN_FOLD_ROWS:
        return []
    random, labels = np.random.default_rng(params.seed), seeds.labels[gold]
    fold_of = np.zeros(len(gold), dtype=int)
    for label in np.unique(labels):
        shuffled = random.permutation(np.flatnonzero(labels == label))
        fold_of[shuffled] = (random.integers(params.folds) + np.arange(len(shuffled))) % params.folds
    splits = []
    for fold in range(params.folds):
        held_out = gold[fold_of == fold]
        kept = np.flatnonzero(~np.isin(sources, sources[held_out]))
        if len(held_out) and not seeds.is_name[kept].all():
            splits.append(Split(kept, held_out, seeds.texts.take(held_out), seeds.labels[held_out]))
    return splits


def choose_lead(seeds: Seeds, splits: list[Split], shares: np.ndarray, doubt: str) -> str:
    """The key of LEADS that the first heads learn by; names lead by default, unless there is a ``doubt`` of them.

    ``shares`` is (classes,), float64: the class shares to expect. Where a class has a single gold row, no fold can hold
    it out and learn it, but a head of names alone has seen no gold row: names must beat chance on them.
    """
    is_gold = ~seeds.is_name & (seeds.weights > 0)
    if not seeds.is_name.any() or not is_gold.any():
        return "names" if seeds.is_name.any() else "no names"
    classes = len(shares)
    counts = np.bincount(seeds.labels[is_gold], minlength=classes)
    if doubt:
        return "no names" if counts.all() else "gold"
    single_rows = counts[counts > 0].min() < 2
    if not splits or (single_rows and len(splits) > 1):
        by_names = fit_linear(seeds.texts.vectors, seeds.labels, seeds.is_name.astype(float), classes)
        right = by_names.logits(seeds.texts.take(np.flatnonzero(is_gold))).argmax(axis=1) == seeds.labels[is_gold]
        return "names" if len(right) < MIN_FOLD_ROWS or right.mean() > 1 / classes else "no names"

    def held_out_right(lead: tuple[float, float]) -> np.ndarray:
        right = []
        for split in splits:
            kept = seeds.take(split.kept)
            heads = fit_linear(kept.texts.vectors, kept.labels, kept.led_by(lead, shares), classes)
            right.append(heads.logits(split.texts).argmax(axis=1) == split.labels)
        return np.concatenate(right)

    return list(LEADS)[choose([held_out_right(lead) for lead in LEADS.values()])]


def choose_round(
    decided_by: str,
    lead: str,
    splits: list[Split],
    train: Callable[[Split], tuple[SelfTraining, Texts]],
    last: int,
    classes: int,
) -> Choice:
    """The last round, or 0 where round 0 is clearly right more often about the held-out rows of the ``splits``.

    ``train`` gives the rounds that learn from the kept seeds of a split, and its held-out texts. ``last`` is the number
    of the last round of the heads that learn from all seeds; a split may have fewer rounds or more, and is asked for
    its last one then.
    """
    if not splits:
        nobody = np.zeros(0, dtype=int)
        return Choice(decided_by, lead, last, nobody, nobody, nobody, np.zeros((last + 1, 0, classes), np.float32))
    answers = []
    for split in progress(splits, "folds", total=len(splits)):
        trained, texts = train(split)
        rounds = trained.rounds
        numbers = [min(number, len(rounds) - 1) if number < last else len(rounds) - 1 for number in range(last + 1)]
        numbers[0] = 0
        answers.append(np.stack([rounds[number].heads.logits(texts) for number in numbers]))
    logits = np.concatenate(answers, axis=1)
    truth = np.concatenate([split.labels for split in splits])
    right = logits.argmax(axis=2) == truth
    kept = 0 if last and choose([right[last], right[0]]) else last
    fold = np.repeat(np.arange(len(splits)), [len(split.labels) for split in splits])
    return Choice(decided_by, lead, kept, np.concatenate([split.held_out for split in splits]), fold, truth, logits)


def label_the_rest(kept: Round, learned: np.ndarray, pool: Texts) -> Round:
    """The round with labels for all of the ``pool``, of which the heads learned from the rows ``learned``, (rows,) int.

    A further row is accepted where the heads are as sure of it as of the least sure accepted row of its class.
    """
    rows = learned[kept.rows]
    if len(learned) == len(pool) or not len(rows):
        return replace(kept, rows=rows)
    classes = len(kept.prior)
    sure = softmax(kept.heads.logits(pool))
    least = np.full(classes, np.inf)
    np.minimum.at(least, kept.labels, sure[rows, kept.labels])
    others = np.setdiff1d(np.arange(len(pool)), learned)
    labels = sure[others].argmax(axis=1)
    accepted = sure[others, labels] >= least[labels]
    all_rows = np.concatenate([rows, others[accepted]])
    all_labels = np.concatenate([kept.labels, labels[accepted]])
    confidence = np.concatenate([kept.confidence, sure[others, labels][accepted]])
    order = np.argsort(all_rows, kind="stable")
    return replace(kept, rows=all_rows[order], labels=all_labels[order], confidence=confidence[order])
