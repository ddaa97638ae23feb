"""How sure a measured number is: bootstrap intervals and calibration, shared by evaluate and fairness.

A bootstrap over rows draws rows with replacement. Rows that fall in the same cell of a table of counts (same true and
same predicted label) are interchangeable, so the draw is exactly a multinomial draw of the table: thousands of rows
times thousands of resamples become one call.
"""

import numpy as np
import pandas as pd

BINS = 15


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts by true (rows) and predicted (columns) class, (classes, classes), from class indices."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def resample(counts: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap resamples of a table of counts, (resamples, *counts.shape); each sums to as many rows (Efron 1979)."""
    flat = counts.ravel()
    filled = flat.nonzero()[0]
    drawn = np.zeros((resamples, flat.size), dtype=np.int32)
    drawn[:, filled] = rng.multinomial(flat.sum(), flat[filled] / flat.sum(), size=resamples)
    return drawn.reshape(resamples, *counts.shape)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of rows on the diagonal of each confusion matrix in (..., classes, classes)."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 of the classes that occur as true or predicted label, of each matrix in (..., classes, classes)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    f1 = 2 * hits / np.maximum(total, 1)
    return f1.sum(axis=-1) / (total > 0).sum(axis=-1)


def percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    """The interval that holds the middle ``level`` of resampled values, (resamples,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def widest(values: np.ndarray, deviations: np.ndarray, level: float) -> tuple[float, float, float, int]:
    """The widest range over groups of any column of ``values`` (groups, columns), its interval, and that column.

    ``deviations`` (resamples, groups, columns) are resampled values less the measured ones; NaN is left out, and every
    column needs two values. All differences get one margin, the bootstrap quantile of the widest range of deviations
    (Tukey's range, bootstrapped): a percentile interval of a maximum would lie too high.
    """
    spread = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
    ranges = np.nanmax(deviations, axis=1) - np.nanmin(deviations, axis=1)
    margin = float(np.quantile(np.nanmax(ranges, axis=1), level))
    found = float(spread.max())
    return found, max(0.0, found - margin), min(1.0, found + margin), int(spread.argmax())


def calibration(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Reliability table: ``rows``, mean ``confidence`` and ``accuracy`` of each of ``bins`` bins of equal width.

    ``confidence`` is the probability of the predicted label, ``correct`` whether it was right, both (rows,). A bin
    without rows holds NaN.
    """
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {
                "rows": rows,
                "confidence": np.bincount(places, weights=confidence, minlength=bins) / rows,
                "accuracy": np.bincount(places, weights=correct, minlength=bins) / rows,
            }
        )


def calibration_error(reliability: pd.DataFrame) -> float:
    """Expected calibration error, 0 to 1: gap of confidence and accuracy, averaged over rows (Guo et al. 2017)."""
    gaps = (reliability["confidence"] - reliability["accuracy"]).abs() * reliability["rows"]
    return float(gaps.sum() / reliability["rows"].sum())


def log_loss(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-probability of the true class, in nats; probabilities below 1e-12 count as 1e-12."""
    return float(-np.log(np.maximum(scores[np.arange(len(truth)), truth], 1e-12)).mean())


def wilson(hits: float, rows: int, level: float) -> tuple[float, float]:
    """Wilson's interval of a share, 0 to 1 (Wilson 1927): honest where the share is 0 or 1; (0, 1) without rows.

    ``hits`` may be a fraction, as where each row brings a mean of several answers; the interval is then too wide, if
    anything.
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
    """Percentile bootstrap interval of the mean of ``values`` (rows,); a single value has no spread to draw from."""
    drawn = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    return percentiles(drawn, level)
