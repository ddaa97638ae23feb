"""Reweighing: weights that make label and group independent in training, so that no model learns one from the other."""

import numpy as np

MAX_FACTOR = 10.0  # a lone row of its label and group must not outvote all others
SWEEPS = 20  # over several attributes, each undoing a little of the last; with one attribute, a single sweep is exact


def weight_factors(labels: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The factor on each row's weight, (rows,), float64, 1 / MAX_FACTOR to MAX_FACTOR.

    ``labels`` (rows,), int, are class indices; ``groups`` (rows, attributes), int, are group codes, -1 where unknown;
    ``weights`` (rows,), float, are the rows' weights.

    Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination": a row of label y
    and group g gets P(y) * P(g) / P(y, g). With several attributes, each is balanced in turn, again and again
    (iterative proportional fitting). A row of unknown group keeps its weight. The total weight of each label stays the
    same, up to the bounds of a factor.
    """
    factors = np.ones(len(labels))
    known = [codes for codes in groups.T if (codes >= 0).any()]
    for _ in range(SWEEPS if len(known) > 1 else 1):
        for codes in known:
            rows = np.flatnonzero(codes >= 0)
            factors[rows] *= independence_ratios(labels[rows], codes[rows], (weights * factors)[rows])
    return np.clip(factors, 1 / MAX_FACTOR, MAX_FACTOR)


def independence_ratios(labels: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(label) * P(group) / P(label, group) of each row, (rows,), float64; 1 where its cell has no weight.

    ``labels`` and ``groups`` (rows,), int, are codes from 0; ``weights`` (rows,), float, make the probabilities.
    """
    cells = np.zeros((labels.max() + 1, groups.max() + 1))
    np.add.at(cells, (labels, groups), weights)
    total = cells.sum()
    expected = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0, keepdims=True) / max(total, 1e-12)
    ratios = np.divide(expected, cells, out=np.ones_like(cells), where=cells > 0)
    return ratios[labels, groups]
