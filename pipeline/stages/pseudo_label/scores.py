"""How well answers fit the truth of rows that no teacher had seen."""

import math

import numpy as np

from pipeline.metrics.calibration import fit_temperature, softmax


def skill(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean recall over the classes of the truth, (rows,), corrected for chance: 0 is a guess, 1 always right."""
    right, chance = logits.argmax(axis=1) == truth, 1 / logits.shape[1]
    recall = float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
    return max(0.0, (recall - chance) / (1 - chance)) if chance < 1 else 1.0


def loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log-likelihood of the truth, (rows,), at the temperature that suits the logits best."""
    probabilities = softmax(logits, fit_temperature(logits, truth))
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


def brier(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Squared distance of each row's probabilities from its truth, (rows,), at the temperature that suits them best.

    0: sure and right; 2: sure and wrong.
    """
    apart = softmax(logits, fit_temperature(logits, truth)) - np.eye(logits.shape[1])[truth]
    return (apart**2).sum(axis=1)


def margin(one: np.ndarray, other: np.ndarray) -> float:
    """By how many standard errors of the difference ``one`` is right more often than ``other``, (rows,) each."""
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    return (wins - losses) / math.sqrt(wins + losses) if wins + losses else 0.0


def clearly_better(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether ``one`` is right more often than ``other`` by more than a standard error of the difference."""
    return margin(one, other) > 1
