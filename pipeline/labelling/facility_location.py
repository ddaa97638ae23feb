"""Chooses the unlabelled rows to label next: unsure rows that stand for many others, no two of them alike.

The choice is facility location, a submodular function (Wei, Iyer and Bilmes 2015, "Submodularity in Data Subset
Selection and Active Learning"). benchmarks/LOG.md compares it with random rows, the least sure rows and two other
published methods.
"""

import numpy as np

# Measured in benchmarks/LOG.md: all of the pool or a quarter of it was no better, and neither was the cubed cosine.
LEAST_SURE_SHARE = 0.3  # of the pool: the candidates, and the rows that they should stand for
CANDIDATES_PER_ROW = 10  # at least so many candidates for each row that is wanted, if the pool has them
MAX_CANDIDATES = 4000  # the matrix of their similarities takes 64 MB


def margin(probabilities: np.ndarray) -> np.ndarray:
    """How far the likeliest label is ahead of the second, (rows,), 0 (unsure) to 1 (sure).

    ``probabilities`` (rows, classes), float32 or float64, 0 to 1; the result has the same dtype.
    """
    top_two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return top_two[:, 1] - top_two[:, 0]


def choose_rows(probabilities: np.ndarray, vectors: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` rows to label next, the most helpful first, (count,), int64.

    ``probabilities`` (rows, classes), float32, 0 to 1, and unit ``vectors`` (rows, width), float32, are those of the
    unlabelled rows; ``known`` (gold, width), float32, are the unit vectors of the labelled rows.

    Every candidate should have a similar row that is labelled or chosen, and the less sure the model is of a candidate,
    the more this counts. Each step chooses the row that improves this most. A near copy of a labelled or chosen row
    improves nothing, and an outlier improves only its own similarity.
    """
    uncertainty = 1 - margin(probabilities).astype(np.float64)
    rows = least_sure_rows(uncertainty, count)
    similarity = cosine_similarity(vectors[rows], vectors[rows])
    if len(known):
        covered = cosine_similarity(vectors[rows], known).max(axis=1)
    else:
        covered = np.zeros(len(rows), dtype=np.float32)
    return rows[lazy_greedy(similarity, covered, uncertainty[rows], count)]


def least_sure_rows(uncertainty: np.ndarray, count: int) -> np.ndarray:
    """Positions of the candidates, least sure first, (candidates,), int64; of too many, evenly spaced ones.

    ``uncertainty`` (rows,), float64, 0 (sure) to 1 (unsure).
    """
    number = min(len(uncertainty), max(int(len(uncertainty) * LEAST_SURE_SHARE), CANDIDATES_PER_ROW * count))
    rows = np.argsort(-uncertainty, kind="stable")[:number]
    return rows[np.linspace(0, number - 1, min(number, max(MAX_CANDIDATES, count))).astype(int)]


def cosine_similarity(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The cosine of each pair of unit vectors, (left rows, right rows), 0 to 1; a negative one counts as 0.

    ``left`` (left rows, width) and ``right`` (right rows, width), float32; the result has the same dtype.
    """
    return np.maximum(left @ right.T, 0)


def lazy_greedy(similarity: np.ndarray, covered: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Positions of the rows that add most to the weighted cover of all rows, one after the other, (count,), int64.

    ``similarity`` (rows, rows), float32, 0 to 1; ``covered`` (rows,), float32, 0 to 1, is the similarity of each row to
    its nearest labelled row; ``weights`` (rows,), float64, at least 0.

    The gain of a row only ever shrinks. So only the row with the highest bound is computed anew (Minoux 1978,
    "Accelerated greedy algorithms for maximizing submodular set functions").
    """
    covered = covered.copy()
    gain_bounds = np.array([np.maximum(row - covered, 0) @ weights for row in similarity])
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(gain_bounds.argmax())
        gain_bounds[best] = np.maximum(similarity[best] - covered, 0) @ weights
        if gain_bounds[best] < gain_bounds.max():
            continue
        chosen.append(best)
        gain_bounds[best] = -np.inf
        covered = np.maximum(covered, similarity[best])
    return np.array(chosen, dtype=np.int64)
