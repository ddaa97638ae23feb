"""Probabilities from logits, and the temperature that makes a classifier's confidence match its accuracy."""

from collections.abc import Callable

import numpy as np

# The likelihood of rows that are all correct grows without end as the temperature falls, so the search needs bounds.
TEMPERATURE_RANGE = (0.05, 20.0)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The probabilities of the classes, (rows, classes) float32, 0 to 1, each row with the sum 1.

    ``logits`` is (rows, classes), float32 or float64; ``temperature`` is above 0.
    """
    scaled = logits / temperature
    exp = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature, 0.05 to 20, that minimises the negative log-likelihood of ``truth`` (Guo et al. 2017).

    ``logits`` is (rows, classes), float32 or float64; ``truth`` is (rows,), int, the class number of each row.
    """
    from scipy.special import log_softmax

    logits64 = logits.astype(np.float64)
    rows = np.arange(len(truth))
    return best_temperature(lambda temperature: float(-log_softmax(logits64 / temperature, axis=1)[rows, truth].mean()))


def brier_scores(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The Brier score of each row (Brier 1950), (rows,) float64, at the temperature that suits all rows best.

    A score is the squared distance of the probabilities from the truth: 0 is sure and right, 2 is sure and wrong.
    ``logits`` is (rows, classes), float32; ``truth`` is (rows,), int: class numbers.
    """
    differences = softmax(logits, fit_temperature(logits, truth)) - np.eye(logits.shape[1])[truth]
    return (differences**2).sum(axis=1)


def match_confidence(logits: np.ndarray, accuracy: float) -> float:
    """The temperature, 0.05 to 20, at which the mean confidence equals ``accuracy``, 0 to 1.

    ``logits`` is (rows, classes), float32 or float64. This serves where no labelled row is left to fit on, but the
    accuracy is known from elsewhere. It reverses the estimate of an accuracy from a difference of confidences
    (Guillory et al. 2021).
    """
    return best_temperature(lambda temperature: abs(float(softmax(logits, temperature).max(axis=1).mean()) - accuracy))


def best_temperature(loss: Callable[[float], float]) -> float:
    """The temperature, 0.05 to 20, with the least ``loss``, to about 1e-5 on a log scale."""
    from scipy.optimize import minimize_scalar

    bounds = np.log(TEMPERATURE_RANGE)
    return float(np.exp(minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=bounds, method="bounded").x))
