"""Coverage against accuracy: what a classifier that may abstain gets right of the rows that it answers."""

import numpy as np
import pandas as pd

POINTS = 20  # of the curve


def coverage_curve(scores: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """A row for each of up to 20 coverages: coverage, threshold, rows and accuracy of the rows that are answered.

    The risk-coverage curve of El-Yaniv and Wiener (2010), with accuracy for risk. ``scores`` (rows,), float64, say how
    unlike every class a row is: the rows with the lowest are answered first. ``correct`` (rows,), bool, says where the
    most probable class is the right one.
    """
    if not len(scores):
        return pd.DataFrame(columns=["coverage", "threshold", "rows", "accuracy"])
    order = np.argsort(scores, kind="stable")
    counts = np.unique(np.ceil(np.linspace(0, 1, POINTS + 1)[1:] * len(scores) - 1e-9).astype(int))
    right = np.cumsum(correct[order])
    columns = {
        "coverage": counts / len(scores),
        "threshold": scores[order][counts - 1],
        "rows": counts,
        "accuracy": right[counts - 1] / counts,
    }
    return pd.DataFrame(columns)
