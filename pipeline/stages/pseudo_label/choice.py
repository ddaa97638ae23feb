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
from pipeline.stages.pseudo_label.features import Rows, Texts, class_numbers
from pipeline.stages.pseudo_label.heads import Heads, fit_linear
from pipeline.stages.pseudo_label.rounds import LEADS, Round, Seeds, SelfTraining
from pipeline.text.class_names import doubt_meaning

CLEAR = 1.5  # standard errors of the difference
MIN_FOLD_ROWS = 8  # gold rows: fewer leave a fold without most classes
# Fewer validation rows cannot tell a gain from chance where gold rows could: the standard error of an accuracy of 0.7
# on 20 rows is 10 points.
MIN_DECISIVE_ROWS = 20
ONE_CLASS_SHARE = 0.95  # of a pool that names call the same class: such names say little


@dataclass(frozen=True)
class Split:
    """Seeds that heads learn from, and held-out rows."""

    kept: np.ndarray  # (kept seeds,) int, positions
    held_out: np.ndarray  # (rows,) int, positions
    labels: np.ndarray  # (rows,) int, class numbers of the held-out rows


@dataclass(frozen=True)
class Choice:
    """The round to keep, and the evidence: what each round says of the held-out rows."""

    decided_by: str  # "validation", "folds", or why no label is held out
    lead: str  # a key of LEADS
    kept_round: int  # 0 = no pseudo-labels
    held_out: np.ndarray  # (rows,) int, positions of the held-out rows
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


def hold_out(rows: Rows, seeds: Seeds, labels: list[str], params: PseudoLabel) -> tuple[str, list[Split]]:
    """What decides, "validation", "folds" or why nothing does, and the splits.

    Folds of the gold rows decide where there are no validation rows, and where only the gold rows number
    `MIN_DECISIVE_ROWS` at least.
    """
    validation = np.arange(rows.pool, len(rows.table))
    if len(validation) and not len(validation) < MIN_DECISIVE_ROWS <= seeds.is_gold.sum():
        truth = class_numbers(rows.table.iloc[rows.pool :], labels)
        return "validation", [Split(np.arange(rows.seeds), validation, truth)]
    splits = split_gold(seeds, rows.table["source_id"].to_numpy()[: rows.seeds], params)
    return ("folds" if splits else "none: too few gold rows for folds"), splits


def split_gold(seeds: Seeds, sources: np.ndarray, params: PseudoLabel) -> list[Split]:
    """One split for each fold of the gold rows; none where there are too few.

    ``sources`` is (seeds,), object: the id of the row that each derives from; what derives from a held-out row is left
    out of its split. Positions are int64. The rows of a class lie in the folds as evenly as possible.
    """
    gold = np.flatnonzero(seeds.is_gold)
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
            splits.append(Split(kept, held_out, seeds.labels[held_out]))
    return splits


def fit_names(texts: Texts, seeds: Seeds, classes: int) -> Heads:
    """The head that learns from class names alone. ``texts`` are those of all rows, or of the seeds."""
    return fit_linear(texts.vectors[: len(seeds.labels)], seeds.labels, seeds.is_name.astype(float), classes)


def doubt_names(names: Sequence[str], seeds: Seeds, texts: Texts, rows: Rows) -> str:
    """Why names say little, in a sentence; empty if nothing speaks against them.

    ``names`` are the descriptions or names of the classes; ``texts`` are those of all rows.
    """
    doubt = doubt_meaning(names)
    pool = texts.take(np.arange(rows.seeds, rows.pool))
    if doubt or len(names) < 2 or not len(pool) or not seeds.is_name.any():
        return doubt
    answers = fit_names(texts, seeds, len(names)).logits(pool).argmax(axis=1)
    of_one_class = np.bincount(answers).max() > ONE_CLASS_SHARE * len(pool)
    return f"by names alone, more than {ONE_CLASS_SHARE:.0%} of the pool is of one class" if of_one_class else ""


def choose_lead(texts: Texts, seeds: Seeds, splits: list[Split], shares: np.ndarray, doubt: str) -> str:
    """The key of LEADS that the first heads learn by; names lead by default, unless there is a ``doubt`` of them.

    ``texts`` are those of all rows; ``shares`` is (classes,), float64: the class shares to expect. Where a class has a
    single gold row, no fold can hold it out and learn it, but a head of names alone has seen no gold row: names must
    beat chance on them.
    """
    labelled, classes = np.flatnonzero(~seeds.is_name & (seeds.weights > 0)), len(shares)
    if not seeds.is_name.any() or not len(labelled):
        return "names" if seeds.is_name.any() else "no names"
    counts = np.bincount(seeds.labels[labelled], minlength=classes)
    if doubt:
        return "no names" if counts.all() else "gold"
    if not splits or (counts[counts > 0].min() < 2 and len(splits) > 1):
        answers = fit_names(texts, seeds, classes).logits(texts.take(labelled)).argmax(axis=1)
        right = answers == seeds.labels[labelled]
        return "names" if len(right) < MIN_FOLD_ROWS or right.mean() > 1 / classes else "no names"

    def held_out_right(lead: str) -> np.ndarray:
        right = []
        for split in splits:
            kept = seeds.take(split.kept)
            heads = fit_linear(texts.vectors[split.kept], kept.labels, kept.weigh_first(lead, shares), classes)
            right.append(heads.logits(texts.take(split.held_out)).argmax(axis=1) == split.labels)
        return np.concatenate(right)

    return list(LEADS)[choose([held_out_right(lead) for lead in LEADS])]


def choose_round(
    decided_by: str,
    lead: str,
    splits: list[Split],
    train: Callable[[np.ndarray], tuple[SelfTraining, Texts]],
    last: int,
    classes: int,
) -> Choice:
    """The last round, or 0 where round 0 is clearly right more often about the held-out rows of the ``splits``.

    ``train`` gives the rounds that learn from the seeds at some positions, (kept seeds,) int64, and the texts of all
    rows. ``last`` is the number of the last round of the heads that learn from all seeds; a split may have fewer rounds
    or more, and is asked for its last one then.
    """
    answers, nobody = [np.zeros((last + 1, 0, classes), np.float32)], np.zeros(0, dtype=int)
    for split in progress(splits, "folds", total=len(splits)):
        trained, texts = train(split.kept)
        texts, rounds = texts.take(split.held_out), trained.rounds
        numbers = [min(number, len(rounds) - 1) if number < last else len(rounds) - 1 for number in range(last + 1)]
        numbers[0] = 0
        answers.append(np.stack([rounds[number].heads.logits(texts) for number in numbers]))
    logits = np.concatenate(answers, axis=1)
    truth = np.concatenate([nobody, *(split.labels for split in splits)])
    right = logits.argmax(axis=2) == truth
    kept = 0 if last and choose([right[last], right[0]]) else last
    fold = np.repeat(np.arange(len(splits)), [len(split.labels) for split in splits])
    return Choice(
        decided_by, lead, kept, np.concatenate([nobody, *(split.held_out for split in splits)]), fold, truth, logits
    )


def label_the_rest(kept: Round, rows: Rows, texts: Texts) -> Round:
    """The ``kept`` round with labels for the pool rows that no head has learned from; ``texts`` are those of all rows.

    Such a row is accepted where the heads are as sure of it as of the least sure accepted row of its class.
    """
    if rows.learned == rows.pool or not len(kept.rows):
        return kept
    sure = softmax(kept.heads.logits(texts.take(kept.rows)))[np.arange(len(kept.rows)), kept.labels]
    least = np.full(len(kept.prior), np.inf)
    np.minimum.at(least, kept.labels, sure)
    probabilities = softmax(kept.heads.logits(texts.take(np.arange(rows.learned, rows.pool))))
    labels, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    accepted = np.flatnonzero(confidence >= least[labels])
    return replace(
        kept,
        rows=np.concatenate([kept.rows, rows.learned + accepted]),
        labels=np.concatenate([kept.labels, labels[accepted]]),
        confidence=np.concatenate([kept.confidence, confidence[accepted]]),
    )
