"""Have the texts that arrive changed since a model was trained? Two-sample tests with a threshold on their size.

There are two kinds of test. Both are permutation tests of the hypothesis that old and new rows come from one
distribution, so that their p-values hold at any number of rows:

- **texts** compares the encoder's vectors by maximum mean discrepancy, with a Gaussian kernel and the median heuristic
  (Gretton et al. 2012). The size of the change is the area under the ROC curve with which the kernel's witness function
  separates new texts from old ones; the value at a text leaves that text out. 0.5 is no separation.
- **labels** compares tables of counts with fixed margins by the likelihood-ratio statistic G. The size of the change is
  the total variation distance between the shares of the labels, less its mean under permutation: 0.1 means that 10% of
  the rows changed their label beyond chance.

With many rows a tiny change is significant, and with few rows a large one may be chance. Drift is therefore a change
that is both significant and large. All tests of a report share ``alpha`` (Bonferroni). A test with fewer than
``min_rows`` rows on a side is ``insufficient``: it was not made, so its answer is not "no drift".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.core.params import Drift as DriftLimits

DriftStatus = Literal["drift", "none", "insufficient"]
BLOCK = 250  # permutations at once, which bounds the memory; the result does not depend on it
MEASURES = {"texts": "separation", "labels": "shift"}


@dataclass(frozen=True)
class DriftTest:
    """One test and its answer; ``p`` and ``size`` are None where there were too few rows."""

    name: str
    status: DriftStatus
    old: int  # rows
    new: int
    p: float | None = None
    size: float | None = None
    limit: float | None = None

    @property
    def line(self) -> str:
        """The answer in one line."""
        rows = f"{self.new} new rows against {self.old}"
        if self.p is None or self.size is None:
            return f"{self.name}: insufficient, {rows}"
        numbers = f"{MEASURES[self.kind]} {self.size:.3f} (drift from {self.limit:g}), p {self.p:.4f}, {rows}"
        return f"{self.name}: {'drift' if self.status == 'drift' else 'no drift'}, {numbers}"

    @property
    def kind(self) -> str:
        """What was compared: texts or labels."""
        return "texts" if self.name == "texts" else "labels"


@dataclass(frozen=True)
class DriftReport:
    """The answers of all tests of one comparison."""

    tests: tuple[DriftTest, ...]

    @property
    def status(self) -> DriftStatus:
        """Drift if any test finds it, else insufficient if any test had too few rows or there is none."""
        statuses = {test.status for test in self.tests}
        if "drift" in statuses:
            return "drift"
        return "insufficient" if "insufficient" in statuses or not statuses else "none"


def is_enough(old: int, new: int, limits: DriftLimits) -> bool:
    """Whether so many rows on each side allow a test."""
    return min(old, new) >= limits.min_rows


def insufficient_report(old: int, new: int, names: Sequence[str]) -> DriftReport:
    """The report of a comparison whose row counts allow none of the tests with these names."""
    return DriftReport(tuple(DriftTest(name, "insufficient", old, new) for name in names))


def detect_drift(
    old: np.ndarray, new: np.ndarray, labels: Mapping[str, tuple[Sequence[str], Sequence[str]]], limits: DriftLimits
) -> DriftReport:
    """Compare old and new texts by their vectors, and each pair of old and new labels.

    ``old`` and ``new`` are vectors, (rows, width), float32 or float64. ``labels`` holds pairs under a name each.
    """
    alpha = limits.alpha / (1 + len(labels))
    tests = [compare_texts(old, new, limits, alpha)]
    tests += [compare_labels(name, *pair, limits, alpha) for name, pair in labels.items()]
    return DriftReport(tuple(tests))


def compare_texts(old: np.ndarray, new: np.ndarray, limits: DriftLimits, alpha: float) -> DriftTest:
    """Test whether the vectors of new texts differ from those of old ones.

    ``old`` and ``new`` are (rows, width), float32 or float64; ``alpha`` is the significance level, 0 to 1.
    """
    if not is_enough(len(old), len(new), limits):
        return DriftTest("texts", "insufficient", len(old), len(new))
    rng = np.random.default_rng(limits.seed)
    old, new = sample_rows(old, limits.max_rows, rng), sample_rows(new, limits.max_rows, rng)
    kernel = gaussian_kernel(np.concatenate([old, new]).astype(np.float64))
    is_new = np.arange(len(kernel)) >= len(old)
    p = permutation_p_value(kernel, is_new, limits.permutations, rng)
    size = separation(kernel, is_new)
    return to_drift_test("texts", p, size, alpha, limits.min_separation, (len(old), len(new)))


def to_drift_test(name: str, p: float, size: float, alpha: float, limit: float, rows: tuple[int, int]) -> DriftTest:
    """The test's answer: drift if the change is significant at ``alpha`` and its size reaches ``limit``."""
    return DriftTest(name, "drift" if p <= alpha and size >= limit else "none", *rows, p, size, limit)


def sample_rows(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``most`` of the ``rows``, (rows, width), float32 or float64, drawn without replacement, order kept."""
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def gaussian_kernel(vectors: np.ndarray) -> np.ndarray:
    """Gaussian kernel of all pairs of ``vectors``, (rows, width), float64: (rows, rows), float64, from 0 to 1.

    The width is the median distance of two rows; the diagonal is 0.
    """
    squares = (vectors**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * vectors @ vectors.T, 0)
    median = np.median(distances[np.triu_indices_from(distances, 1)])
    kernel = np.exp(-distances / max(median, 1e-12))
    np.fill_diagonal(kernel, 0)
    return kernel


def permutation_p_value(kernel: np.ndarray, is_new: np.ndarray, permutations: int, rng: np.random.Generator) -> float:
    """The p-value, above 0 and at most 1, of the observed MMD² among those of permuted rows.

    ``kernel`` is (rows, rows), float64, with a diagonal of 0; ``is_new`` is (rows,), bool. The observed value counts as
    one of the permutations (Phipson & Smyth 2010).
    """
    observed = squared_mmd(kernel, is_new[:, None])[0]
    as_large = 0
    for start in range(0, permutations, BLOCK):
        count = min(BLOCK, permutations - start)
        shuffled = np.stack([rng.permutation(is_new) for _ in range(count)], axis=1)
        as_large += int((squared_mmd(kernel, shuffled) >= observed - 1e-12).sum())
    return (1 + as_large) / (1 + permutations)


def squared_mmd(kernel: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Unbiased estimate of MMD² (Gretton et al. 2012) for each column of ``is_new``: (columns,), float64.

    ``kernel`` is (rows, rows), float64, with a diagonal of 0. ``is_new`` is (rows, columns), bool, with the same number
    of new rows in every column.
    """
    new = is_new.astype(np.float64)
    m, n = new[:, 0].sum(), len(kernel) - new[:, 0].sum()
    toward_new = kernel @ new
    within_new = (new * toward_new).sum(axis=0)
    between = toward_new.sum(axis=0) - within_new
    within_old = kernel.sum() - within_new - 2 * between
    return within_new / (m * (m - 1)) + within_old / (n * (n - 1)) - 2 * between / (m * n)


def separation(kernel: np.ndarray, is_new: np.ndarray) -> float:
    """Area under the ROC curve of the witness function, 0.5 to 1; the value at a text leaves it out.

    ``kernel`` is (rows, rows), float64, with a diagonal of 0; ``is_new`` is (rows,), bool.
    """
    from scipy.stats import rankdata

    m, n = is_new.sum(), (~is_new).sum()
    toward_new = kernel[:, is_new].sum(axis=1) / (m - is_new)
    toward_old = kernel[:, ~is_new].sum(axis=1) / (n - ~is_new)
    ranks = rankdata(toward_new - toward_old, method="ordinal")
    area = (ranks[is_new].sum() - m * (m + 1) / 2) / (m * n)
    return max(float(area), 0.5)


def compare_labels(name: str, old: Sequence[str], new: Sequence[str], limits: DriftLimits, alpha: float) -> DriftTest:
    """Test at the level ``alpha`` whether labels of new rows are distributed differently from those of old ones."""
    from scipy.stats import random_table

    if not is_enough(len(old), len(new), limits):
        return DriftTest(name, "insufficient", len(old), len(new))
    labels = sorted({*old, *new})
    if len(labels) == 1:  # of which SciPy draws tables with negative counts
        return to_drift_test(name, 1.0, 0.0, alpha, limits.min_shift, (len(old), len(new)))
    indices = {label: index for index, label in enumerate(labels)}
    table = np.array([np.bincount([indices[label] for label in side], minlength=len(labels)) for side in (old, new)])
    drawn = random_table(table.sum(axis=1), table.sum(axis=0), seed=limits.seed).rvs(limits.permutations)
    as_large = int((likelihood_ratio(drawn) >= likelihood_ratio(table) - 1e-9).sum())
    p = (1 + as_large) / (1 + limits.permutations)
    size = max(float(total_variation(table) - total_variation(drawn).mean()), 0.0)
    return to_drift_test(name, p, size, alpha, limits.min_shift, (len(old), len(new)))


def likelihood_ratio(tables: np.ndarray) -> np.ndarray:
    """G / 2 of ``tables`` of counts, (..., 2, labels), int64, up to a constant: (...,), float64.

    The constant is the same for tables with the same margins, so that such tables can be compared.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(tables > 0, tables * np.log(tables), 0.0)
    return parts.sum(axis=(-2, -1))


def total_variation(tables: np.ndarray) -> np.ndarray:
    """Total variation distance, 0 to 1, between the shares of both rows of ``tables``, (..., 2, labels), int64.

    The result is (...,), float64.
    """
    shares = tables / tables.sum(axis=-1, keepdims=True)
    return np.abs(shares[..., 0, :] - shares[..., 1, :]).sum(axis=-1) / 2
