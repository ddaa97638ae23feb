"""Two models on the same rows: how far apart they are, and how sure that is.

A resample draws whole rows, so that each keeps both models' answers (paired bootstrap, Efron & Tibshirani 1993). Rows
with the same true label and the same two answers are interchangeable: the draw is a multinomial draw of their counts.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

TAIL = 20  # resamples that have to lie beyond a bound, or its place would be chance
CHUNK = 4_000_000  # counts drawn at a time, to bound memory


@dataclass(frozen=True)
class Interval:
    """A metric of both models, and the challenger's lead with a bound below and one above it, and its error."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    error: float  # standard error of the difference


@dataclass(frozen=True)
class Agreement:
    """Rows by who is right."""

    both: int
    challenger_only: int
    champion_only: int
    neither: int

    @property
    def rows(self) -> int:
        return self.both + self.neither + self.told_apart

    @property
    def told_apart(self) -> int:
        """Rows that one of the two gets right and the other wrong: all that can tell which is more accurate."""
        return self.challenger_only + self.champion_only


@dataclass(frozen=True)
class Cells:
    """Distinct (truth, champion's answer, challenger's answer), each with its count of rows; labels as indices."""

    truth: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    counts: np.ndarray
    classes: int


def count(truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray, classes: int) -> Cells:
    """Rows of the same kind counted together; three arrays (rows,) of class indices below ``classes``."""
    kinds, counts = np.unique(np.stack([truth, champion, challenger], axis=1), axis=0, return_counts=True)
    return Cells(kinds[:, 0], kinds[:, 1], kinds[:, 2], counts, classes)


def agreement(cells: Cells) -> Agreement:
    """Rows that both, one or none of the two answer rightly."""
    old, new = cells.champion == cells.truth, cells.challenger == cells.truth
    numbers = [int(cells.counts[kind].sum()) for kind in (old & new, new & ~old, old & ~new, ~old & ~new)]
    return Agreement(*numbers)


def compare(cells: Cells, level: float, resamples: int, seed: int) -> dict[str, Interval]:
    """Accuracy and macro-F1 of both models with the challenger's lead; each bound is wrong with chance ``level``.

    ``resamples`` is a least number: a bound far out in the tail takes more. Where few rows tell the models apart the
    percentile bootstrap is too sure of itself (4 to 0 would do at 2.5%, a sign test wants 6 to 0). So accuracy's bounds
    are widened to exact ones, and those of macro-F1 leave 0 out only where a randomization test rejects, too.
    """
    enough = max(resamples, math.ceil(TAIL / level))
    rng = np.random.default_rng(seed)
    drawn = leads(resample(cells.counts, enough, rng), cells)
    measured = both(cells.counts[None], cells)
    low, high = (np.quantile(drawn, part, axis=0) for part in (level, 1 - level))
    below, above = exact_bounds(agreement(cells), level)
    low[0], high[0] = min(low[0], below), max(high[0], above)
    low[1], high[1] = held_to_chance(cells, float(low[1]), float(high[1]), level, enough, rng)
    return {
        name: Interval(
            champion=float(measured[0, 0, place]),
            challenger=float(measured[1, 0, place]),
            difference=float(measured[1, 0, place] - measured[0, 0, place]),
            low=float(low[place]),
            high=float(high[place]),
            error=float(drawn[:, place].std()),
        )
        for place, name in enumerate(("accuracy", "macro_f1"))
    }


def resample(counts: np.ndarray, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Bootstrap resamples of the counts, some at a time, (some, len(counts)) each."""
    for some in portions(resamples, len(counts)):
        yield rng.multinomial(counts.sum(), counts / counts.sum(), size=some)


def portions(resamples: int, width: int) -> Iterator[int]:
    """The resamples in parts that fit into memory."""
    most = max(1, CHUNK // width)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def leads(parts: Iterable[np.ndarray], cells: Cells) -> np.ndarray:
    """The challenger's lead in accuracy and macro-F1 in each resample, (resamples, 2)."""
    return np.concatenate([np.subtract(*both(part, cells)[::-1]) for part in parts])


def both(counts: np.ndarray, cells: Cells) -> np.ndarray:
    """Accuracy and macro-F1 (as in `statistics`) of champion and challenger in each resample, (2, resamples, 2)."""
    weights = counts.astype(np.float32)  # sums are exact up to 2^24 rows, and the products are fast
    truth = weights @ one_hot(cells.truth, cells.classes)
    results = []
    for answers in (cells.champion, cells.challenger):
        hits = weights @ (one_hot(answers, cells.classes) * (answers == cells.truth)[:, None])
        total = truth + weights @ one_hot(answers, cells.classes)
        f1 = 2 * hits / np.maximum(total, 1, dtype=float)
        shares = hits.sum(axis=1, dtype=float) / counts.sum(axis=1)
        results.append(np.stack([shares, f1.sum(axis=1) / (total > 0).sum(axis=1)], axis=1))
    return np.stack(results)


def one_hot(places: np.ndarray, classes: int) -> np.ndarray:
    """(len(places), classes) float32, 1 where the class is."""
    return np.eye(classes, dtype=np.float32)[places]


def exact_bounds(rows: Agreement, level: float) -> tuple[float, float]:
    """Bounds on the lead in accuracy, given how many rows tell the models apart (Clopper & Pearson 1934).

    The lower one lies above 0 exactly where the one-sided sign test (McNemar's, exact) rejects at ``level``.
    """
    from scipy.stats import beta

    wins, apart = rows.challenger_only, rows.told_apart
    least = beta.ppf(level, wins, apart - wins + 1) if wins else 0.0
    most = beta.ppf(1 - level, wins + 1, apart - wins) if wins < apart else 1.0
    return apart / rows.rows * (2 * float(least) - 1), apart / rows.rows * (2 * float(most) - 1)


def held_to_chance(
    cells: Cells, low: float, high: float, level: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Bounds on the lead in macro-F1, moved to 0 where the lead may be chance.

    Approximate randomization (Yeh 2000): were the models equally good, swapping their answers to a row would change
    nothing. The lead is chance unless fewer than ``level`` of random swaps lead as far.
    """
    if low <= 0 <= high:
        return low, high
    lead = float(leads([cells.counts[None]], cells)[0, 1])
    turned = Cells(
        np.tile(cells.truth, 2),
        np.concatenate([cells.champion, cells.challenger]),
        np.concatenate([cells.challenger, cells.champion]),
        np.tile(cells.counts, 2),
        cells.classes,
    )
    kept = (
        rng.binomial(cells.counts, 0.5, size=(some, len(cells.counts)))
        for some in portions(resamples, 2 * len(cells.counts))
    )
    drawn = leads((np.concatenate([one, cells.counts - one], axis=1) for one in kept), turned)[:, 1]
    as_far = (drawn >= lead - 1e-9).sum() if lead > 0 else (drawn <= lead + 1e-9).sum()
    if (as_far + 1) / (resamples + 1) <= level:
        return low, high
    return min(low, 0.0), max(high, 0.0)
