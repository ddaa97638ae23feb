"""What a bundle abstains by, fitted on texts of known class and on the pool."""

from dataclasses import dataclass

import numpy as np

from pipeline.models.abstention import Abstention, AbstentionSettings
from pipeline.models.neighbour_graph import neighbour_graph

DISCOUNT = 0.8  # of each step away from a text of known class
STEPS = 30  # of the walk: 0.8 to the 30th is a thousandth
LEAST_REACH = 1e-6  # of a text that no walk reaches
PROTOTYPES = 800  # at most; benchmarks/LOG.md has other numbers
TEXTS_A_PROTOTYPE = 4  # on average at least, so that a prototype is a mean
LEAST_SPREAD = 1e-6  # of a part; below, all values are one
MIN_ROWS = 20  # held-out rows; fewer say too little of the spread of a part
# Of the parts, each measured in its spread over held-out rows. That of the isolation is 15 times the share of the pool
# that is more isolated than 90% of the held-out rows, between 0.5 and 3: the walk tells what is of no class only where
# the pool holds such texts. benchmarks/LOG.md has other weights.
WEIGHTS = np.array([1.0, 0.5, 1.0, 0.5])
ISOLATED, WEIGHT_OF_SHARE, LEAST_WEIGHT, MOST_WEIGHT = 90, 15.0, 0.5, 3.0


@dataclass(frozen=True)
class Known:
    """Texts whose class is known: gold rows, and the names of the classes."""

    vectors: np.ndarray  # (texts, width), float32, unit vectors
    classes: np.ndarray  # (texts,), int64, class numbers

    def keep(self, rows: np.ndarray) -> "Known":
        """Those of these ``rows``, (texts,), bool."""
        return Known(self.vectors[rows], self.classes[rows])


@dataclass(frozen=True)
class Pool:
    """Texts whose class is unknown, and the groups of like texts among them."""

    vectors: np.ndarray  # (texts, width), float32, unit vectors
    groups: np.ndarray  # (texts,), int64: the number of the prototype that each text is a part of


def make_pool(vectors: np.ndarray, seed: int) -> Pool:
    """The pool with its texts in groups by k-means; ``vectors`` is (texts, width), float32, unit vectors."""
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    count = min(PROTOTYPES, len(vectors) // TEXTS_A_PROTOTYPE)
    if not count:
        return Pool(vectors[:0], np.zeros(0, dtype=np.int64))
    with threadpool_limits(1):  # in steps as small as these, threads wait for each other most of the time
        groups = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=1024).fit_predict(vectors)
    return Pool(vectors, np.unique(groups, return_inverse=True)[1].astype(np.int64))


def fit_abstention(known: Known, pool: Pool, settings: AbstentionSettings) -> Abstention:
    """The parts of the score, fitted, with the threshold of ``settings``; `weigh_parts` makes their weights."""
    means = class_means(known)
    parts = {
        "prototypes": unit(group_means(pool.vectors, pool.groups)),
        "isolation": group_means(isolation_of_pool(known, pool)[:, None], pool.groups)[:, 0],
        "class_means": means,
        "whitening": fit_whitening(known, means, pool),
        "weights": WEIGHTS,
    }
    # In the order in memory that a bundle has, so that products round as they will there.
    return Abstention(settings, **{name: np.ascontiguousarray(array, np.float32) for name, array in parts.items()})


def weigh_parts(held_out: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """What a unit of each part adds to the score, (parts,), float32.

    ``held_out`` (rows, parts), float64, holds the parts of in-scope rows by fits that have not seen them, and ``pool``
    (texts, parts), float64, those of the pool. With few held-out rows the spread is that over the pool.
    """
    weights = WEIGHTS.copy()
    reference = held_out if len(held_out) >= MIN_ROWS or not len(pool) else pool
    if len(pool) and len(held_out) >= MIN_ROWS:
        share = float((pool[:, 0] > np.percentile(held_out[:, 0], ISOLATED)).mean())
        weights[0] = np.clip(WEIGHT_OF_SHARE * share, LEAST_WEIGHT, MOST_WEIGHT)
    low, high = np.percentile(reference, [25, 75], axis=0)
    scaled: np.ndarray = weights / np.where(high - low > LEAST_SPREAD, high - low, 1.0)
    return scaled.astype(np.float32)


def isolation_of_pool(known: Known, pool: Pool) -> np.ndarray:
    """How badly a walk from the known texts reaches each text of the pool, (texts,), float64; 0 is a known text.

    The walk goes through the graph of nearest neighbours of all texts. A text's reach is DISCOUNT times the mean reach
    of its neighbours, weighed by their edges, or 1 for a known text; its isolation is minus the logarithm of its reach.
    """
    from scipy.sparse import diags

    if not len(pool.vectors):
        return np.zeros(0)
    edges = neighbour_graph(np.concatenate([known.vectors, pool.vectors]))
    transition = diags(1 / np.maximum(np.asarray(edges.sum(axis=1)).ravel(), 1e-12)) @ edges
    start = np.zeros(transition.shape[0])
    start[: len(known.vectors)] = 1
    reach = start
    for _ in range(STEPS):
        reach = np.maximum(start, DISCOUNT * (transition @ reach))
    isolation: np.ndarray = -np.log(reach[len(known.vectors) :] + LEAST_REACH)
    return isolation


def fit_whitening(known: Known, means: np.ndarray, pool: Pool) -> np.ndarray:
    """The matrix (width, width), float64, that whitens texts within their classes.

    ``means`` (classes, width) are unit vectors. The covariance is that of the nearer half of the pool around the mean
    of those that have the same nearest class, shrunk as Ledoit and Wolf (2004) say, because labelled rows are too few
    for it. Without a pool it is that of the known texts.
    """
    from sklearn.covariance import ledoit_wolf

    if len(pool.vectors):
        cosines = pool.vectors @ means.T
        nearest, near = cosines.argmax(axis=1), cosines.max(axis=1) >= np.median(cosines.max(axis=1))
        vectors, classes = pool.vectors[near], np.unique(nearest[near], return_inverse=True)[1]
    else:
        vectors, classes = known.vectors, np.unique(known.classes, return_inverse=True)[1]
    residuals = vectors - group_means(vectors, classes)[classes]
    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    values, directions = np.linalg.eigh(covariance)
    whitening: np.ndarray = directions / np.sqrt(np.maximum(values, 1e-6))
    return whitening


def class_means(known: Known) -> np.ndarray:
    """The unit mean of each class that has texts, (classes, width), float64."""
    return unit(group_means(known.vectors, np.unique(known.classes, return_inverse=True)[1]))


def group_means(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each group, (groups, width), float64.

    ``vectors`` is (texts, width), float; ``groups`` (texts,), int64, holds the numbers of the groups, from 0 on.
    """
    sums = np.zeros((groups.max(initial=-1) + 1, vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    return sums / np.bincount(groups, minlength=len(sums))[:, None]


def unit(vectors: np.ndarray) -> np.ndarray:
    """The ``vectors`` (rows, width), float64, at length 1."""
    scaled: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled
