"""How near texts tell each other their labels: along a nearest-neighbour graph, or within clusters."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.params import PseudoLabel

BLOCK = 2000  # rows whose similarities to all others are in memory at a time


class Spread(Protocol):
    """Labels flow between the rows that this was made of, (rows, width)."""

    def among(self, rows: np.ndarray) -> "Spread":
        """The same with these rows alone, by position."""

    def smooth(self, probabilities: np.ndarray, part: float) -> np.ndarray:
        """Mix each row's probabilities, (rows, classes), with those of the rows around it.

        ``part`` is the others' part; what comes back sums to 1 in each row.
        """


@dataclass(frozen=True)
class Graph:
    """Symmetric edges between near rows, (rows, rows), sparse, not yet normalised."""

    edges: Any

    def among(self, rows: np.ndarray) -> "Graph":
        """The graph without the rows that are left out, and without their edges."""
        return Graph(self.edges[rows][:, rows])

    def smooth(self, probabilities: np.ndarray, part: float, steps: int = 20) -> np.ndarray:
        """Label spreading (Zhou et al. 2004)."""
        from scipy.sparse import diags

        degree = np.asarray(self.edges.sum(axis=1)).ravel()
        scale = diags(np.where(degree > 0, degree, 1.0) ** -0.5)
        adjacency = (scale @ self.edges @ scale).tocsr()
        spread = probabilities
        for _ in range(steps):
            spread = part * (adjacency @ spread) + (1 - part) * probabilities
        return normalised(spread)


@dataclass(frozen=True)
class Clusters:
    """The cluster of each row, (rows,)."""

    numbers: np.ndarray

    def among(self, rows: np.ndarray) -> "Clusters":
        """The clusters of these rows."""
        return Clusters(self.numbers[rows])

    def smooth(self, probabilities: np.ndarray, part: float) -> np.ndarray:
        """Cluster and label: every row hears the mean of its cluster, in which a seed speaks by its weight."""
        totals = np.zeros((self.numbers.max() + 1, probabilities.shape[1]))
        np.add.at(totals, self.numbers, probabilities)
        return normalised(part * normalised(totals)[self.numbers] + (1 - part) * normalised(probabilities))


@dataclass(frozen=True)
class Apart:
    """Nobody hears anybody."""

    def among(self, rows: np.ndarray) -> "Apart":
        """Still nobody."""
        return self

    def smooth(self, probabilities: np.ndarray, part: float) -> np.ndarray:
        """The probabilities as they are."""
        return normalised(probabilities)


def normalised(rows: np.ndarray) -> np.ndarray:
    """Rows that sum to 1."""
    return rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12)


def spread(vectors: np.ndarray, classes: int, params: PseudoLabel) -> Spread:
    """What ``params.spread`` says, over unit vectors (rows, width)."""
    if params.spread == "graph" and len(vectors):
        return build(vectors, params.neighbours)
    if params.spread == "clusters" and len(vectors):
        return cluster(vectors, params.clusters * classes, params.seed)
    return Apart()


def build(vectors: np.ndarray, neighbours: int) -> Graph:
    """Connect each unit vector, (rows, width), with its nearest ones; an edge weighs the cube of their cosine.

    The cube lets near neighbours count far more than the merely nearest of an outlier.
    """
    from scipy.sparse import csr_matrix

    rows = len(vectors)
    neighbours = min(neighbours, rows - 1)
    near, cosine = nearest(vectors, neighbours)
    weights = np.maximum(cosine, 0).ravel().astype(np.float64) ** 3
    edges = csr_matrix((weights, (np.repeat(np.arange(rows), neighbours), near.ravel())), shape=(rows, rows))
    return Graph(edges.maximum(edges.T).tocsr())


def nearest(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and cosines of each row's nearest others, both (rows, neighbours), in no order."""
    near = np.empty((len(vectors), neighbours), dtype=np.int64)
    cosine = np.empty((len(vectors), neighbours), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK] @ vectors.T
        own = np.arange(len(block))
        block[own, start + own] = -2  # nobody is their own neighbour
        picked = np.argpartition(-block, neighbours - 1, axis=1)[:, :neighbours]
        near[start : start + BLOCK] = picked
        cosine[start : start + BLOCK] = np.take_along_axis(block, picked, axis=1)
    return near, cosine


def cluster(vectors: np.ndarray, clusters: int, seed: int) -> Clusters:
    """k-means over unit vectors, (rows, width)."""
    from sklearn.cluster import KMeans

    model = KMeans(min(clusters, len(vectors)), n_init=1, max_iter=50, random_state=seed)
    return Clusters(model.fit_predict(vectors))
