"""Scores from confusion matrices, their bootstrap intervals, and measures of calibration.

A bootstrap over rows draws rows with replacement. Rows in the same cell of a table of counts, that is with the same
true and the same predicted label, are interchangeable. A bootstrap is therefore exactly a multinomial draw of the
table: thousands of rows times thousands of resamples become one call.
"""

import numpy as np
import pandas as pd

CALIBRATION_BINS = 15  # as in Guo et al. 2017; calibration errors with other numbers of bins are not comparable


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of rows by true class (first axis) and predicted class (second axis), (classes, classes) int64.

    ``truth`` and ``predicted`` are (rows,), int: class numbers from 0 to ``classes`` - 1.
    """
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def resample(counts: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap resamples of a table of counts (Efron 1979), (resamples, ...) int32; each has as many rows as it.

    ``counts`` is (...,), int, of any number of axes, and holds at least one row.
    """
    flat = counts.ravel()
    occupied = flat.nonzero()[0]
    drawn = np.zeros((resamples, flat.size), dtype=np.int32)
    drawn[:, occupied] = rng.multinomial(flat.sum(), flat[occupied] / flat.sum(), size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """The accuracy, (...,) float64, 0 to 1, of each confusion matrix in ``counts``, (..., classes, classes), int."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The macro-F1, (...,) float64, 0 to 1, of each confusion matrix in ``counts``, (..., classes, classes), int.

    It is the mean F1 of the classes that occur as true or as predicted label.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return mean_f1(hits, counts.sum(axis=-1) + counts.sum(axis=-2))


def mean_f1(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Macro-F1, (...,) float64, 0 to 1: the mean of `f1_by_class` over the classes with rows.

    ``hits`` and ``total`` are as in `f1_by_class`.
    """
    return f1_by_class(hits, total).sum(axis=-1) / (total > 0).sum(axis=-1)


def f1_by_class(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """F1 of each class, (..., classes) float64, 0 to 1; 0 for a class without rows.

    ``hits`` are the rows that are predicted correctly, (..., classes), int or float. ``total`` is the number of rows
    of the class plus the number of rows that are predicted to be of it, (..., classes), int or float.
    """
    return 2 * hits / np.maximum(total, 1, dtype=float)


def percentile_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """The interval that holds the middle share ``level``, 0 to 1, of resampled ``values``, (resamples,) float64."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def largest_gap(values: np.ndarray, deviations: np.ndarray, level: float) -> tuple[float, float, float, int]:
    """The largest gap between two groups in any column, the low and high end of its interval, and that column.

    ``values`` is (groups, columns), float64, 0 to 1: the measured values. ``deviations`` is (resamples, groups,
    columns), float64: resampled values minus measured ones. NaN marks a value that is left out; every column needs two
    values. All differences get one margin, the bootstrap quantile at ``level`` of the largest range of deviations
    (Tukey's range, bootstrapped): a percentile interval of a maximum would lie too high.
    """
    gaps = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
    ranges = np.nanmax(deviations, axis=1) - np.nanmin(deviations, axis=1)
    margin = float(np.quantile(np.nanmax(ranges, axis=1), level))
    largest = float(gaps.max())
    return largest, max(0.0, largest - margin), min(1.0, largest + margin), int(gaps.argmax())


def reliability_table(confidence: np.ndarray, correct: np.ndarray, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Columns ``rows``, mean ``confidence`` and ``accuracy`` of each of ``bins`` bins of equal width.

    ``confidence`` is (rows,), float32 or float64, 0 to 1: the probability of the predicted label. ``correct`` is
    (rows,), bool: whether that label is right. A bin without rows holds NaN.
    """
    bin_of_row = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.bincount(bin_of_row, minlength=bins)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {
                "rows": rows,
                "confidence": np.bincount(bin_of_row, weights=confidence, minlength=bins) / rows,
                "accuracy": np.bincount(bin_of_row, weights=correct, minlength=bins) / rows,
            }
        )


def expected_calibration_error(reliability: pd.DataFrame) -> float:
    """The gap of confidence and accuracy in a `reliability_table`, averaged over rows, 0 to 1 (Guo et al. 2017)."""
    gaps = (reliability["confidence"] - reliability["accuracy"]).abs() * reliability["rows"]
    return float(gaps.sum() / reliability["rows"].sum())


def log_loss(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-probability of the true class, in nats; probabilities below 1e-12 count as 1e-12.

    ``scores`` is (rows, classes), float32 or float64: probabilities, 0 to 1. ``truth`` is (rows,), int: class numbers.
    """
    return float(-np.log(np.maximum(scores[np.arange(len(truth)), truth], 1e-12)).mean())


def wilson_interval(hits: float, rows: int, level: float) -> tuple[float, float]:
    """Wilson's interval of the share ``hits`` / ``rows``, 0 to 1 (Wilson 1927); (0, 1) without rows.

    The interval keeps its ``level``, 0 to 1, where the share is near 0 or 1. ``hits`` may be a fraction: each row may
    count the mean of several answers. The interval is then too wide rather than too narrow.
    """
    from scipy.stats import norm

    if rows == 0:
        return 0.0, 1.0
    z = float(norm.ppf((1 + level) / 2))
    share, penalty = hits / rows, z * z / rows
    middle = (share + penalty / 2) / (1 + penalty)
    reach = z / (1 + penalty) * float(np.sqrt(share * (1 - share) / rows + penalty / (4 * rows)))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def mean_interval(values: np.ndarray, resamples: int, level: float, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval, at ``level`` from 0 to 1, of the mean of ``values``, (rows,) float64.

    The interval of a single value has no width.
    """
    drawn = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    return percentile_interval(drawn, level)
