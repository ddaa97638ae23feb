"""Weights that make label and group independent among training rows, so that no model learns one from the other."""

import numpy as np

LARGEST = 10.0  # factor: a lone row of its label and group must not outvote all others
ROUNDS = 20  # over the attributes; with one, a single round is exact


def factors(labels: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The factor on each row's weight, (rows,).

    Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination": a row of label y
    and group g gets P(y) * P(g) / P(y, g). With several attributes each takes its turn, again and again (iterative
    proportional fitting). ``labels`` are class numbers (rows,); ``groups`` (rows, attributes) are group numbers, -1
    where nobody knows the group: such a row keeps its weight. The weight of each label stays what it was, up to the
    bound on a factor.
    """
    factor = np.ones(len(labels))
    known = [column for column in groups.T if (column >= 0).any()]
    for _ in range(ROUNDS if len(known) > 1 else 1):
        for column in known:
            rows = np.flatnonzero(column >= 0)
            factor[rows] *= balance(labels[rows], column[rows], (weights * factor)[rows])
    return np.clip(factor, 1 / LARGEST, LARGEST)


def balance(labels: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(label) * P(group) / P(label, group) of each row, by weight; 1 where nothing has any weight."""
    cells = np.zeros((labels.max() + 1, groups.max() + 1))
    np.add.at(cells, (labels, groups), weights)
    total = cells.sum()
    expected = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0, keepdims=True) / max(total, 1e-12)
    ratio = np.divide(expected, cells, out=np.ones_like(cells), where=cells > 0)
    return ratio[labels, groups]
