"""Scores of logits on held-out rows, whose labels no teacher has learned from."""

import math

import numpy as np

from pipeline.metrics.calibration import fit_temperature, softmax
from pipeline.metrics.statistics import log_loss


def adjusted_balanced_accuracy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean recall over the classes of ``truth``, corrected for chance: 0 is no better than chance, 1 always right.

    ``logits`` is (rows, classes), float32; ``truth`` is (rows,), int: class numbers. Chance is 1 / classes, and a
    recall below it counts as 0.
    """
    right, chance = logits.argmax(axis=1) == truth, 1 / logits.shape[1]
    recall = float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
    return max(0.0, (recall - chance) / (1 - chance)) if chance < 1 else 1.0


def calibrated_log_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-likelihood of ``truth``, in nats, at the temperature that minimises it.

    ``logits`` is (rows, classes), float32; ``truth`` is (rows,), int: class numbers.
    """
    return log_loss(softmax(logits, fit_temperature(logits, truth)), truth)


def mcnemar_z(first: np.ndarray, second: np.ndarray) -> float:
    """By how many standard errors of the difference ``first`` is right more often than ``second`` (McNemar 1947).

    Both are (rows,), bool: whether a classifier is right about each row.
    """
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    return (wins - losses) / math.sqrt(wins + losses) if wins + losses else 0.0


def clearly_better(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether ``first`` is right more often than ``second`` by more than a standard error of the difference.

    Both are (rows,), bool: whether a classifier is right about each row.
    """
    return mcnemar_z(first, second) > 1
