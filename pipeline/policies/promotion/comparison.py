"""Two models on the same rows: how far apart they are, and how sure that is.

A resample draws whole rows, so that each row keeps both models' answers (paired bootstrap, Efron & Tibshirani 1993).
Rows with the same true label and the same two answers are interchangeable, so that the draw is a multinomial draw of
their counts.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import statistics

TAIL = 20  # resamples that lie beyond a bound on average; with fewer the place of the bound would be chance
CHUNK = 4_000_000  # counts drawn at a time, which bounds the memory; the resamples depend on it


@dataclass(frozen=True)
class LeadInterval:
    """A metric of both models, and the challenger's lead in it with a lower and an upper bound."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    error: float  # standard error of the difference


@dataclass(frozen=True)
class Agreement:
    """Numbers of rows by which of the two models is right."""

    both: int
    challenger_only: int
    champion_only: int
    neither: int

    @property
    def rows(self) -> int:
        """The number of all rows."""
        return self.both + self.neither + self.discordant

    @property
    def discordant(self) -> int:
        """Rows on which only one model is right: only they show which model is more accurate (McNemar 1947)."""
        return self.challenger_only + self.champion_only


@dataclass(frozen=True)
class AnswerCounts:
    """Distinct (truth, champion's answer, challenger's answer) with the number of their rows.

    All arrays are (kinds,), int64; truth and answers are class indices below ``classes``.
    """

    truth: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    counts: np.ndarray
    classes: int


def count_answers(truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray, classes: int) -> AnswerCounts:
    """Count the rows with the same truth and answers.

    ``truth``, ``champion`` and ``challenger`` are class indices below ``classes``, (rows,), int64.
    """
    kinds, counts = np.unique(np.stack([truth, champion, challenger], axis=1), axis=0, return_counts=True)
    return AnswerCounts(kinds[:, 0], kinds[:, 1], kinds[:, 2], counts, classes)


def count_agreement(answers: AnswerCounts) -> Agreement:
    """Numbers of rows on which both, one or none of the models is right."""
    old, new = answers.champion == answers.truth, answers.challenger == answers.truth
    rows = [int(answers.counts[kind].sum()) for kind in (old & new, new & ~old, old & ~new, ~old & ~new)]
    return Agreement(*rows)


def compare_models(answers: AnswerCounts, level: float, resamples: int, seed: int) -> dict[str, LeadInterval]:
    """Accuracy and macro-F1 of both models with the challenger's lead; each bound is wrong with probability ``level``.

    ``resamples`` is a lower limit: a bound far out in the tail takes more. With few discordant rows the percentile
    bootstrap is too sure: 4 rows to 0 would suffice at 2.5%, where a sign test asks for 6 to 0. The bounds on accuracy
    are therefore widened to exact ones, and those on macro-F1 exclude 0 only where a randomization test rejects, too.
    """
    enough = max(resamples, math.ceil(TAIL / level))
    rng = np.random.default_rng(seed)
    drawn = leads(resample_counts(answers.counts, enough, rng), answers)
    measured = score_both(answers.counts[None], answers)
    low, high = (np.quantile(drawn, quantile, axis=0) for quantile in (level, 1 - level))
    below, above = exact_accuracy_bounds(count_agreement(answers), level)
    low[0], high[0] = min(low[0], below), max(high[0], above)
    low[1], high[1] = randomization_bounds(answers, float(low[1]), float(high[1]), level, enough, rng)
    return {
        name: LeadInterval(
            champion=float(measured[0, 0, column]),
            challenger=float(measured[1, 0, column]),
            difference=float(measured[1, 0, column] - measured[0, 0, column]),
            low=float(low[column]),
            high=float(high[column]),
            error=float(drawn[:, column].std()),
        )
        for column, name in enumerate(("accuracy", "macro_f1"))
    }


def resample_counts(counts: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Bootstrap resamples of ``counts``, (kinds,), int64, in portions of (resamples of the portion, kinds), int64."""
    for portion in portion_sizes(resamples, len(counts)):
        yield rng.multinomial(counts.sum(), counts / counts.sum(), size=portion)


def portion_sizes(resamples: int, width: int) -> Iterator[int]:
    """Numbers of resamples that fit into memory at a time, which sum to ``resamples``."""
    most = max(1, CHUNK // width)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def leads(portions: Iterable[np.ndarray], answers: AnswerCounts) -> np.ndarray:
    """The challenger's lead in accuracy and macro-F1 in each resample, (resamples, 2), float64, from -1 to 1.

    ``portions`` are resampled counts, (resamples of the portion, kinds), int64.
    """
    return np.concatenate([np.subtract(*score_both(portion, answers)[::-1]) for portion in portions])


def score_both(counts: np.ndarray, answers: AnswerCounts) -> np.ndarray:
    """Accuracy and macro-F1 of champion and challenger in each resample, (2, resamples, 2), float64, from 0 to 1.

    ``counts`` are the rows of each kind in each resample, (resamples, kinds), int64.
    """
    weights = counts.astype(np.float32)  # sums are exact up to 2^24 rows, and the products are fast
    truth = weights @ one_hot(answers.truth, answers.classes)
    results = []
    for predicted in (answers.champion, answers.challenger):
        encoded = one_hot(predicted, answers.classes)
        hits = weights @ (encoded * (predicted == answers.truth)[:, None])
        accuracy = hits.sum(axis=1, dtype=float) / counts.sum(axis=1)
        results.append(np.stack([accuracy, statistics.mean_f1(hits, truth + weights @ encoded)], axis=1))
    return np.stack(results)


def one_hot(classes_of_rows: np.ndarray, classes: int) -> np.ndarray:
    """``classes_of_rows``, (rows,), int64, as (rows, classes), float32: 1 where the class is, else 0."""
    return np.eye(classes, dtype=np.float32)[classes_of_rows]


def exact_accuracy_bounds(rows: Agreement, level: float) -> tuple[float, float]:
    """Exact bounds, -1 to 1, on the lead in accuracy, given the number of discordant rows (Clopper & Pearson 1934).

    The lower bound is above 0 exactly where the one-sided sign test (McNemar's, exact) rejects at ``level``.
    """
    from scipy.stats import beta

    wins, discordant = rows.challenger_only, rows.discordant
    least = beta.ppf(level, wins, discordant - wins + 1) if wins else 0.0
    most = beta.ppf(1 - level, wins + 1, discordant - wins) if wins < discordant else 1.0
    return discordant / rows.rows * (2 * float(least) - 1), discordant / rows.rows * (2 * float(most) - 1)


def randomization_bounds(
    answers: AnswerCounts, low: float, high: float, level: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The bounds on the lead in macro-F1, widened to include 0 where the lead may be chance.

    This is approximate randomization (Yeh 2000): if the models were equally good, swapping their answers to a row would
    change nothing. The lead may be chance unless a share of at most ``level`` of random swaps leads as far.
    """
    if low <= 0 <= high:
        return low, high
    lead = float(leads([answers.counts[None]], answers)[0, 1])
    either_way = AnswerCounts(
        np.tile(answers.truth, 2),
        np.concatenate([answers.champion, answers.challenger]),
        np.concatenate([answers.challenger, answers.champion]),
        np.tile(answers.counts, 2),
        answers.classes,
    )
    not_swapped = (
        rng.binomial(answers.counts, 0.5, size=(portion, len(answers.counts)))
        for portion in portion_sizes(resamples, 2 * len(answers.counts))
    )
    swapped = (np.concatenate([kept, answers.counts - kept], axis=1) for kept in not_swapped)
    drawn = leads(swapped, either_way)[:, 1]
    as_far = (drawn >= lead - 1e-9).sum() if lead > 0 else (drawn <= lead + 1e-9).sum()
    if (as_far + 1) / (resamples + 1) <= level:
        return low, high
    return min(low, 0.0), max(high, 0.0)
