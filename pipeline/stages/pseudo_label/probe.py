"""Multinomial logistic regression over the encoder's vectors or over the words of the texts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

# The logit of a class without seeds. It is far below every logit that a fitted head gives, so that the class is never
# predicted, and finite, so that mixtures and temperatures of logits stay numbers.
ABSENT_CLASS_LOGIT = -30.0


@dataclass(frozen=True)
class Probe:
    """A linear head: logits = vectors @ weight.T + bias."""

    weight: np.ndarray  # (classes, width) float32
    bias: np.ndarray  # (classes,) float32

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """The logits, (rows, classes) float32, of ``vectors``, (rows, width) float32."""
        return vectors @ self.weight.T + self.bias


def fit_probe(vectors: Any, labels: np.ndarray, weights: np.ndarray, classes: int, inverse_l2: float) -> Probe:
    """The probe that is fitted on weighted rows with hard labels.

    ``vectors`` is (rows, width), float32, dense or sparse; ``labels`` is (rows,), int: class numbers; ``weights`` is
    (rows,), float64, 0 or more. ``inverse_l2`` is the inverse strength of the L2 penalty, above 0. The probe never
    predicts a class whose rows all have the weight 0.
    """
    from sklearn.linear_model import LogisticRegression

    weight = np.zeros((classes, vectors.shape[1]), dtype=np.float32)
    bias = np.full(classes, ABSENT_CLASS_LOGIT, dtype=np.float32)
    counted = weights > 0
    if not counted.all():
        vectors, labels, weights = vectors[counted], labels[counted], weights[counted]
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0
        return Probe(weight, bias)
    model = LogisticRegression(C=inverse_l2, max_iter=300, tol=1e-3).fit(vectors, labels, sample_weight=weights)
    # With two classes scikit-learn keeps one row of coefficients: the log-odds of the second against the first.
    binary = model.coef_.shape[0] == 1
    weight[present] = np.concatenate([-model.coef_ / 2, model.coef_ / 2]) if binary else model.coef_
    bias[present] = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2]) if binary else model.intercept_
    return Probe(weight, bias)
