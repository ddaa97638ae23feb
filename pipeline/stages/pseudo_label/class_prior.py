"""The class prior: the estimated shares of the classes in the pool, and the alignment of probabilities with it."""

import numpy as np


def estimate_class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The class shares, (classes,) float64 with the sum 1, that the gold rows suggest for the pool.

    ``labels`` is (rows,), int: the class numbers of the gold rows. The shares are equal where every class has about as
    many gold rows, and the frequencies of the gold rows where these differ by far more than chance. Between the two
    they are a James-Stein estimate (Hausser & Strimmer 2009). One more row of each class is counted, because a class
    without gold rows is rare rather than absent.
    """
    frequencies = (np.bincount(labels, minlength=classes) + 1) / (len(labels) + classes)
    chance = 1 - (frequencies**2).sum()
    observed = (len(labels) - 1) * ((frequencies - 1 / classes) ** 2).sum()
    shrinkage = chance / observed if observed > chance else 1.0
    return (1 - shrinkage) * frequencies + shrinkage / classes


def estimate_class_prior(probabilities: np.ndarray, shrinkage: float, expected: np.ndarray) -> np.ndarray:
    """The class shares in the pool, (classes,) float64 with the sum 1, from the teacher's probabilities.

    ``probabilities`` is (rows, classes), float64, 0 to 1. The estimate is the mean of the hard and the soft
    predictions, shrunk by ``shrinkage``, 0 to 1, towards the ``expected`` shares, (classes,), float64. A teacher of few
    labels prefers some classes; without the shrinkage the estimate would feed that preference back to it.
    """
    classes = probabilities.shape[1]
    hard = np.bincount(probabilities.argmax(axis=1), minlength=classes) / len(probabilities)
    predicted = (hard + probabilities.mean(axis=0)) / 2
    return (1 - shrinkage) * predicted + shrinkage * expected


def align_to_prior(probabilities: np.ndarray, prior: np.ndarray, steps: int = 10) -> np.ndarray:
    """``probabilities`` with the classes scaled until their means over the pool equal ``prior``.

    ``probabilities`` and the result are (rows, classes), float64, each row with the sum 1; ``prior`` is (classes,),
    float64. This is distribution alignment (Berthelot et al. 2020) by iterative proportional fitting.
    """
    aligned = probabilities
    for _ in range(steps):
        aligned = aligned * (prior / np.maximum(aligned.mean(axis=0), 1e-12))
        aligned = aligned / aligned.sum(axis=1, keepdims=True)
    return aligned
