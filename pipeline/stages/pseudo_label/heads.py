"""The two linear heads of a teacher: a softmax regression over vectors, and naive Bayes over words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.metrics.calibration import match_confidence, softmax
from pipeline.stages.pseudo_label.features import Texts

INVERSE_L2 = 10.0  # of the softmax regression; smaller is a stronger penalty
SMOOTHING = 0.1  # added to every count of naive Bayes
# The logit of a class without rows. It is far below every logit that a fitted head gives, so that the class is never
# predicted, and finite, so that mixtures of logits stay numbers.
ABSENT_CLASS_LOGIT = -30.0


@dataclass(frozen=True)
class Heads:
    """logits = vectors @ weight.T + bias + words @ table; a product of experts (Hinton 2002)."""

    weight: np.ndarray  # (classes, width) float32
    bias: np.ndarray  # (classes,) float32
    table: np.ndarray | None = None  # (tokens that count, classes) float32; None: no words

    def logits(self, texts: Texts) -> np.ndarray:
        """The logits of these texts, (rows, classes) float32."""
        logits = texts.vectors @ self.weight.T + self.bias
        return logits if self.table is None else logits + np.asarray(texts.words @ self.table)

    def mix(self, other: "Heads", part: float) -> "Heads":
        """The sum of these heads with the weight 1 - ``part`` and of ``other`` with ``part``, 0 to 1."""
        mine, its = np.float32(1 - part), np.float32(part)
        tables = [factor * heads.table for factor, heads in ((mine, self), (its, other)) if heads.table is not None]
        table = np.sum(tables, axis=0) if tables else None
        return Heads(mine * self.weight + its * other.weight, mine * self.bias + its * other.bias, table)


def fit_linear(
    features: Any, labels: np.ndarray, weights: np.ndarray, classes: int, start: Heads | None = None, steps: int = 40
) -> Heads:
    """A softmax regression with an L2 penalty, after ``steps`` of L-BFGS (Byrd et al. 1995) from ``start`` or from 0.

    ``features`` is (rows, width), float32, dense or sparse; ``labels`` is (rows,), int: class numbers; ``weights`` is
    (rows,), float64, 0 or more. A class without a row of some weight is never predicted.
    """
    from scipy.optimize import minimize
    from scipy.sparse import issparse

    counted = weights > 0
    features, labels, weights = features[counted], labels[counted], weights[counted].astype(np.float32)
    transposed = features.T.tocsr() if issparse(features) else features.T
    truth, factor = np.eye(classes, dtype=np.float32)[labels], INVERSE_L2 * weights
    present, width = np.flatnonzero(np.bincount(labels, minlength=classes)), features.shape[1]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        head = flat.reshape(len(present), width + 1)
        logits = np.asarray(features @ head[:, :-1].T.astype(np.float32)) + head[:, -1].astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        exp = np.exp(logits)
        total = exp.sum(axis=1, keepdims=True)
        losses = np.log(total[:, 0]) - (truth[:, present] * logits).sum(axis=1)
        residual = (exp / total - truth[:, present]) * factor[:, None]
        gradient = np.empty_like(head)
        gradient[:, :-1] = np.asarray(transposed @ residual).T + head[:, :-1]
        gradient[:, -1] = residual.sum(axis=0)
        return float(factor @ losses + (head[:, :-1] ** 2).sum() / 2), gradient.ravel()

    first = np.zeros((classes, width + 1)) if start is None else np.column_stack([start.weight, start.bias])
    first[:, -1] = np.maximum(first[:, -1], ABSENT_CLASS_LOGIT / 3)  # a class that was absent may be present now
    found = minimize(loss_and_gradient, first[present].ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    weight = np.zeros((classes, width), dtype=np.float32)
    bias = np.full(classes, ABSENT_CLASS_LOGIT, dtype=np.float32)
    weight[present], bias[present] = (
        np.split(found.x.reshape(len(present), -1), [width], axis=1)[0],
        found.x.reshape(len(present), -1)[:, -1],
    )
    return Heads(weight, bias)


def count_words(words: Any, labels: np.ndarray) -> np.ndarray:
    """The table of multinomial naive Bayes with equal class shares, (tokens that count, classes) float32.

    ``words`` is sparse, (rows, tokens that count), float32; ``labels`` is (rows, classes), 0 or more: the weight of
    each row in each class. Over rounds this is expectation maximisation (Nigam et al. 2000). Wrong labels are spread
    thinly over many words.
    """
    counts = np.asarray(words.T @ labels) + SMOOTHING
    return np.log(counts / counts.sum(axis=0)).astype(np.float32)


def add_words(heads: Heads, table: np.ndarray, bias: np.ndarray, sample: Texts, part: float) -> Heads:
    """The heads with ``part``, 0 to 1, of a head over words: logits = words @ table + bias.

    ``table`` is (tokens that count, classes), float32; ``bias`` is (classes,), float32. They are scaled to the mean
    confidence that the heads have on ``sample``: otherwise the more confident view would decide alone.
    """
    confidence = float(softmax(heads.logits(sample)).max(axis=1).mean())
    factor = np.float32(1 / match_confidence(np.asarray(sample.words @ table) + bias, confidence))
    return heads.mix(Heads(np.zeros_like(heads.weight), factor * bias, factor * table), part)
