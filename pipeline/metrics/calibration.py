"""How sure a classifier may be: probabilities from logits, and the temperature that makes them honest."""

from collections.abc import Callable

import numpy as np

TEMPERATURES = (0.05, 20.0)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Rows of logits to rows of probabilities, (rows, classes) float32."""
    scaled = logits / temperature
    exp = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The divisor of logits that minimises the negative log-likelihood of ``truth`` (Guo et al. 2017).

    ``logits`` is (rows, classes), ``truth`` the index of each row's class. The search is held to 0.05-20, because the
    likelihood of rows that are all correct has no optimum.
    """
    from scipy.special import log_softmax

    wide = logits.astype(np.float64)
    rows = np.arange(len(truth))
    return search(lambda temperature: float(-log_softmax(wide / temperature, axis=1)[rows, truth].mean()))


def match_confidence(logits: np.ndarray, accuracy: float) -> float:
    """The divisor of logits at which the mean confidence is ``accuracy``.

    For where no labelled row is left to fit on, but the accuracy is known from elsewhere: the reverse of estimating an
    accuracy from the difference of confidences (Guillory et al. 2021).
    """
    return search(lambda temperature: abs(float(softmax(logits, temperature).max(axis=1).mean()) - accuracy))


def search(loss: Callable[[float], float]) -> float:
    """The temperature with the least loss, to about 1e-5 on a log scale."""
    from scipy.optimize import minimize_scalar

    bounds = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=bounds, method="bounded").x))
