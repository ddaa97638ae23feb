"""Which pool rows a round takes: by confidence, with class shares held near an estimated prior."""

import numpy as np


def class_shares(probabilities: np.ndarray) -> np.ndarray:
    """Shares of the classes in the pool, (classes,): the mean of hard and soft predictions, (rows, classes)."""
    hard = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
    return (hard + probabilities.mean(axis=0)) / 2


def shrink(shares: np.ndarray, trust: float) -> np.ndarray:
    """Pull the shares, (classes,), towards equal ones, the more the less ``trust`` there is, 0 to 1.

    Few labels make a teacher that prefers some classes, and its word alone would feed that preference back to it.
    """
    return trust * shares + (1 - trust) / len(shares)


def corrected(shares: np.ndarray, seen: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The estimate after a round, (classes,): the one before, moved by as much as ``seen`` differs from ``prior``.

    A teacher repeats the shares of the rows that it learned from, and these were the prior's. Shrunk again in each
    round, they would end equal, whatever the texts say. No class is given up for lost.
    """
    moved = np.maximum(shares + seen - prior, 0.1 / len(shares))
    return moved / moved.sum()


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
