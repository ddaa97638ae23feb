"""Multinomial logistic regression, over the unit vectors of the encoder or the words of the texts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

# A class that nothing stands for: the probe never names it, and says so by a logit no other reaches.
NEVER = -30.0


@dataclass(frozen=True)
class Probe:
    """A linear head: logits = vectors @ weight.T + bias."""

    weight: np.ndarray  # (classes, width) float32
    bias: np.ndarray  # (classes,) float32

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """(rows, width) to (rows, classes)."""
        return vectors @ self.weight.T + self.bias


def fit(vectors: Any, labels: np.ndarray, weights: np.ndarray, classes: int, c: float) -> Probe:
    """Fit the probe on hard labels, weighted; ``c`` is the inverse strength of its L2 penalty.

    ``vectors`` is (rows, width), dense or sparse. A class without rows of some weight is never named.
    """
    from sklearn.linear_model import LogisticRegression

    weight = np.zeros((classes, vectors.shape[1]), dtype=np.float32)
    bias = np.full(classes, NEVER, dtype=np.float32)
    heard = weights > 0
    if not heard.all():
        vectors, labels, weights = vectors[heard], labels[heard], weights[heard]
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0
        return Probe(weight, bias)
    model = LogisticRegression(C=c, max_iter=300, tol=1e-3).fit(vectors, labels, sample_weight=weights)
    # With two classes scikit-learn keeps one row of coefficients: the log-odds of the second against the first.
    both = model.coef_.shape[0] == 1
    weight[present] = np.concatenate([-model.coef_ / 2, model.coef_ / 2]) if both else model.coef_
    bias[present] = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2]) if both else model.intercept_
    return Probe(weight, bias)
