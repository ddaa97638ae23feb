"""Which pool rows a round takes: by confidence, with class shares held near an estimated prior."""

import numpy as np


def estimate_prior(probabilities: np.ndarray, shrinkage: float) -> np.ndarray:
    """Shares of the classes in the pool, (classes,), from the teacher's probabilities, (rows, classes).

    The mean of the hard and the soft predictions, pulled towards equal shares by ``shrinkage``: few labels make a
    teacher that prefers some classes, and an estimate taken at its word would feed that preference back to it.
    """
    classes = probabilities.shape[1]
    hard = np.bincount(probabilities.argmax(axis=1), minlength=classes) / len(probabilities)
    seen = (hard + probabilities.mean(axis=0)) / 2
    return (1 - shrinkage) * seen + shrinkage / classes


def align(probabilities: np.ndarray, prior: np.ndarray, steps: int = 10) -> np.ndarray:
    """Scale the classes until their mean probability over the pool is the prior; rows still sum to 1."""
    aligned = probabilities
    for _ in range(steps):
        aligned = aligned * (prior / np.maximum(aligned.mean(axis=0), 1e-12))
        aligned = aligned / aligned.sum(axis=1, keepdims=True)
    return aligned


def select(
    probabilities: np.ndarray, prior: np.ndarray, share: float, min_confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and labels of the rows to take: of each class its surest ones, up to ``share`` of its expected size.

    A row only ever gets the label that the teacher finds likeliest: a class with too few such rows stays short, and
    none is forced in.
    """
    best = probabilities.argmax(axis=1)
    rows = []
    for label, quota in enumerate(np.maximum(1, share * prior * len(probabilities)).astype(int)):
        mine = np.flatnonzero((best == label) & (probabilities[:, label] >= min_confidence))
        rows.append(mine[np.argsort(-probabilities[mine, label], kind="stable")[:quota]])
    taken = np.sort(np.concatenate(rows))
    return taken, best[taken]
