"""Which pool rows a round takes: by confidence, with class shares held near an estimated prior."""

import numpy as np


def gold_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """Shares of the classes, (classes,), as far as the class numbers of the gold rows, (rows,), speak of them.

    Equal shares where every class has about as many gold rows, their frequencies where these differ by far more than
    chance, and between the two a James-Stein estimate (Hausser & Strimmer 2009). One more row of each class is counted:
    one without gold rows is rare, not absent.
    """
    frequencies = (np.bincount(labels, minlength=classes) + 1) / (len(labels) + classes)
    chance = 1 - (frequencies**2).sum()
    found = (len(labels) - 1) * ((frequencies - 1 / classes) ** 2).sum()
    shrinkage = chance / found if found > chance else 1.0
    return (1 - shrinkage) * frequencies + shrinkage / classes


def estimate_prior(probabilities: np.ndarray, shrinkage: float, towards: np.ndarray) -> np.ndarray:
    """Shares of the classes in the pool, (classes,), from the teacher's probabilities, (rows, classes).

    The mean of the hard and the soft predictions, pulled ``towards`` what is thought of them before, (classes,), by
    ``shrinkage``: few labels make a teacher that prefers some classes, and an estimate taken at its word would feed
    that preference back to it.
    """
    classes = probabilities.shape[1]
    hard = np.bincount(probabilities.argmax(axis=1), minlength=classes) / len(probabilities)
    seen = (hard + probabilities.mean(axis=0)) / 2
    return (1 - shrinkage) * seen + shrinkage * towards


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
