"""Acceptance of pseudo-labels: which pool rows a round takes, by confidence and by the class prior."""

import numpy as np


def accept_pseudo_labels(
    probabilities: np.ndarray, prior: np.ndarray, share: float, min_confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the accepted pool rows, (accepted,) int in rising order, and their class numbers, (accepted,) int.

    ``probabilities`` is (rows, classes), float64, 0 to 1; ``prior`` is (classes,), float64: the class shares in the
    pool. Each class gets its surest rows, up to ``share``, 0 to 1, of its expected size and with ``min_confidence`` at
    least. A row is accepted only with the label that is likeliest for it, so a class with too few such rows stays
    short.
    """
    likeliest = probabilities.argmax(axis=1)
    rows_by_class = []
    for label, quota in enumerate(np.maximum(1, share * prior * len(probabilities)).astype(int)):
        candidates = np.flatnonzero((likeliest == label) & (probabilities[:, label] >= min_confidence))
        rows_by_class.append(candidates[np.argsort(-probabilities[candidates, label], kind="stable")[:quota]])
    accepted = np.sort(np.concatenate(rows_by_class))
    return accepted, likeliest[accepted]
