"""Which unlabelled rows are worth a label: unsure ones that stand for many others, none of them twice.

Measured against random rows, the least sure ones and two methods of the literature in benchmarks/LOG.md.
"""

import numpy as np

# Measured: all of the pool, a quarter of it, and a sharper likeness (cubes of cosines) were worse or no better.
LEAST_SURE = 0.3  # of the pool: who asks and is asked
AT_LEAST = 10  # rows to choose from for each that is wanted, in a small pool
LIMIT = 4000  # rows whose likeness to one another is held in memory: 64 MB


def margin(probabilities: np.ndarray) -> np.ndarray:
    """How far the likeliest label is ahead of the second, (rows,), from (rows, classes): 0 is unsure, 1 is sure."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def choose(probabilities: np.ndarray, vectors: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` rows to label next, the most helpful first.

    ``probabilities`` (rows, classes) and unit ``vectors`` (rows, width) are of the unlabelled rows, ``known`` (gold,
    width) of those with a label. Each unsure row asks to be near a labelled one, the louder the less sure it is. Rows
    are taken greedily, each time the one that answers most of what is still asked: facility location, a submodular
    function as in Wei, Iyer and Bilmes (2015), "Submodularity in Data Subset Selection and Active Learning". A near
    copy of a row that is labelled or taken adds nothing, and an outlier answers nobody but itself.
    """
    unsure = 1 - margin(probabilities).astype(np.float64)
    rows = eligible(unsure, count)
    alike = likeness(vectors[rows], vectors[rows])
    covered = likeness(vectors[rows], known).max(axis=1) if len(known) else np.zeros(len(rows), dtype=np.float32)
    return rows[greedy(alike, covered, unsure[rows], count)]


def eligible(unsure: np.ndarray, count: int) -> np.ndarray:
    """Positions of the least sure rows, least sure first; of a large pool an even sample of them."""
    number = min(len(unsure), max(int(len(unsure) * LEAST_SURE), AT_LEAST * count))
    rows = np.argsort(-unsure, kind="stable")[:number]
    return rows[np.linspace(0, number - 1, min(number, max(LIMIT, count))).astype(int)]


def likeness(these: np.ndarray, those: np.ndarray) -> np.ndarray:
    """(these, those): the cosine of unit vectors; opposites are as unlike as strangers."""
    return np.maximum(these @ those.T, 0)


def greedy(alike: np.ndarray, covered: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Positions that add most to the weighted cover of all rows, one after the other.

    ``alike`` is (rows, rows), ``covered`` (rows,) how near each row is to a labelled one. What a row adds only ever
    shrinks, so that it is worked out anew for the row at the top alone (Minoux 1978).
    """
    covered = covered.copy()
    bound = np.array([np.maximum(row - covered, 0) @ weights for row in alike])
    chosen: list[int] = []
    while len(chosen) < count:
        best = int(bound.argmax())
        bound[best] = np.maximum(alike[best] - covered, 0) @ weights
        if bound[best] < bound.max():
            continue
        chosen.append(best)
        bound[best] = -np.inf
        covered = np.maximum(covered, alike[best])
    return np.array(chosen, dtype=np.int64)
