"""Have the texts that arrive changed since a model was trained? Two-sample tests with a threshold on their size.

Two questions, each a permutation test of the hypothesis that old and new rows come from one distribution, so that its
p-value holds at any number of rows:

- **texts**: maximum mean discrepancy between the encoder's vectors, Gaussian kernel, median heuristic (Gretton et al.
  2012). Its size is told by the kernel's witness function, evaluated at each text without the text itself: the area
  under the ROC curve with which it tells new texts from old ones, 0.5 for not at all.
- **labels**: the likelihood-ratio statistic G of the table of counts with fixed margins. Its size is the total
  variation distance between the shares less what it is on average under permutation: 0.1 means that 10% of the rows
  changed their label beyond chance.

With enough rows the least change is significant, with few rows the largest shift is chance: drift is what is both
significant and large. All tests of one look share ``alpha`` (Bonferroni). Fewer rows than ``min_rows`` on either side
are ``insufficient``: nobody looked, which is not "no drift".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.core.params import Drift as Limits

Status = Literal["drift", "none", "insufficient"]
BLOCK = 250  # permutations at once: bounds the memory


@dataclass(frozen=True)
class Comparison:
    """One question and its answer; ``p`` and ``size`` are None where there were too few rows."""

    name: str
    status: Status
    old: int  # rows
    new: int
    p: float | None = None
    size: float | None = None
    limit: float | None = None

    @property
    def line(self) -> str:
        """One line for people."""
        rows = f"{self.new} new rows against {self.old}"
        if self.p is None or self.size is None:
            return f"{self.name}: insufficient, {rows}"
        found = f"{MEASURES[self.kind]} {self.size:.3f} (drift from {self.limit:g}), p {self.p:.4f}, {rows}"
        return f"{self.name}: {'drift' if self.status == 'drift' else 'no drift'}, {found}"

    @property
    def kind(self) -> str:
        """What was compared: vectors or labels."""
        return "texts" if self.name == "texts" else "labels"


@dataclass(frozen=True)
class Drift:
    """All answers of one look: drift if any says so, else insufficient if any could not tell."""

    tests: tuple[Comparison, ...]

    @property
    def status(self) -> Status:
        found = {test.status for test in self.tests}
        return "drift" if "drift" in found else "insufficient" if "insufficient" in found or not found else "none"


MEASURES = {"texts": "separation", "labels": "shift"}


def look(
    old: np.ndarray, new: np.ndarray, labels: Mapping[str, tuple[Sequence[str], Sequence[str]]], limits: Limits
) -> Drift:
    """Compare vectors, (rows, width), and under each name a pair of lists of labels, old and new."""
    alpha = limits.alpha / (1 + len(labels))
    tests = [texts(old, new, limits, alpha)]
    tests += [shares(name, *pair, limits, alpha) for name, pair in labels.items()]
    return Drift(tuple(tests))


def texts(old: np.ndarray, new: np.ndarray, limits: Limits, alpha: float) -> Comparison:
    """Whether the vectors of new texts, (rows, width), differ from those of old ones."""
    if min(len(old), len(new)) < limits.min_rows:
        return Comparison("texts", "insufficient", len(old), len(new))
    rng = np.random.default_rng(limits.seed)
    old, new = sample(old, limits.max_rows, rng), sample(new, limits.max_rows, rng)
    kernel = gaussian(np.concatenate([old, new]).astype(np.float64))
    is_new = np.arange(len(kernel)) >= len(old)
    p = permuted(kernel, is_new, limits.permutations, rng)
    size = separation(kernel, is_new)
    return verdict("texts", p, size, alpha, limits.min_separation, (len(old), len(new)))


def verdict(name: str, p: float, size: float, alpha: float, limit: float, rows: tuple[int, int]) -> Comparison:
    """Drift is what is significant and large."""
    return Comparison(name, "drift" if p <= alpha and size >= limit else "none", *rows, p, size, limit)


def sample(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many rows, drawn without replacement."""
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def gaussian(vectors: np.ndarray) -> np.ndarray:
    """Gaussian kernel of all pairs, (rows, rows), its width the median distance; the diagonal is 0."""
    squares = (vectors**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * vectors @ vectors.T, 0)
    middle = np.median(distances[np.triu_indices_from(distances, 1)])
    kernel = np.exp(-distances / max(middle, 1e-12))
    np.fill_diagonal(kernel, 0)
    return kernel


def permuted(kernel: np.ndarray, is_new: np.ndarray, permutations: int, rng: np.random.Generator) -> float:
    """The p-value of the unbiased estimate of MMD² among those of permuted rows, itself counted in (Phipson 2010)."""
    observed = discrepancy(kernel, is_new[:, None])[0]
    beyond = 0
    for start in range(0, permutations, BLOCK):
        count = min(BLOCK, permutations - start)
        shuffled = np.stack([rng.permutation(is_new) for _ in range(count)], axis=1)
        beyond += int((discrepancy(kernel, shuffled) >= observed - 1e-12).sum())
    return (1 + beyond) / (1 + permutations)


def discrepancy(kernel: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Unbiased MMD² for each column of ``is_new``, (rows, columns); the kernel's diagonal is 0."""
    new = is_new.astype(np.float64)
    m, n = new[:, 0].sum(), len(kernel) - new[:, 0].sum()
    toward = kernel @ new
    within_new = (new * toward).sum(axis=0)
    between = toward.sum(axis=0) - within_new
    within_old = kernel.sum() - within_new - 2 * between
    return within_new / (m * (m - 1)) + within_old / (n * (n - 1)) - 2 * between / (m * n)


def separation(kernel: np.ndarray, is_new: np.ndarray) -> float:
    """Area under the ROC curve of the witness function, each text left out of its own value; 0.5 and above."""
    m, n = is_new.sum(), (~is_new).sum()
    toward_new = kernel[:, is_new].sum(axis=1) / (m - is_new)
    toward_old = kernel[:, ~is_new].sum(axis=1) / (n - ~is_new)
    witness = toward_new - toward_old
    order = np.argsort(witness, kind="stable")
    ranks = np.empty(len(witness))
    ranks[order] = np.arange(1, len(witness) + 1)
    area = (ranks[is_new].sum() - m * (m + 1) / 2) / (m * n)
    return max(float(area), 0.5)


def shares(name: str, old: Sequence[str], new: Sequence[str], limits: Limits, alpha: float) -> Comparison:
    """Whether the labels of new rows are distributed otherwise than those of old ones."""
    from scipy.stats import random_table

    if min(len(old), len(new)) < limits.min_rows:
        return Comparison(name, "insufficient", len(old), len(new))
    every = sorted({*old, *new})
    places = {label: place for place, label in enumerate(every)}
    table = np.array([np.bincount([places[one] for one in side], minlength=len(every)) for side in (old, new)])
    drawn = random_table(table.sum(axis=1), table.sum(axis=0), seed=limits.seed).rvs(limits.permutations)
    beyond = int((likelihood_ratio(drawn) >= likelihood_ratio(table) - 1e-9).sum())
    p = (1 + beyond) / (1 + limits.permutations)
    size = max(float(distance(table) - distance(drawn).mean()), 0.0)
    return verdict(name, p, size, alpha, limits.min_shift, (len(old), len(new)))


def likelihood_ratio(tables: np.ndarray) -> np.ndarray:
    """G / 2 of tables of counts, (..., 2, labels), whose margins are all the same, up to what those add."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(tables > 0, tables * np.log(tables), 0.0)
    return parts.sum(axis=(-2, -1))


def distance(tables: np.ndarray) -> np.ndarray:
    """Total variation distance between the two rows of each table, (..., 2, labels), as shares: 0 to 1."""
    shares = tables / tables.sum(axis=-1, keepdims=True)
    return np.abs(shares[..., 0, :] - shares[..., 1, :]).sum(axis=-1) / 2
