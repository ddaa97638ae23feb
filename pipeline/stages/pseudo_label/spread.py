"""How near texts tell each other their labels: along a nearest-neighbour graph, or within clusters."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pipeline.core.params import PseudoLabel

BLOCK = 2000  # rows whose similarities to all others are in memory at a time


class Spread(Protocol):
    """Labels flow between the rows that this was made of, (rows, width)."""

    def among(self, rows: np.ndarray) -> "Spread":
        """The same with these rows alone, by position."""

    def compact(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "Spread":
        """The same over all ``vectors``, (rows, width), moved so that ``rows`` of one of the ``labels`` lie close."""

    def smooth(self, probabilities: np.ndarray, part: float) -> np.ndarray:
        """Mix each row's probabilities, (rows, classes), with those of the rows around it.

        ``part`` is the others' part; what comes back sums to 1 in each row.
        """


@dataclass(frozen=True)
class Graph:
    """Symmetric edges between near rows, (rows, rows), sparse, not yet normalised."""

    edges: Any
    neighbours: int  # that each row was connected with

    def among(self, rows: np.ndarray) -> "Graph":
        """The graph without the rows that are left out, and without their edges."""
        return replace(self, edges=self.edges[rows][:, rows])

    def compact(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "Graph":
        """Other edges, between rows that are near in what tells these labels apart."""
        return build(within_class_whitened(vectors, rows, labels), self.neighbours)

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

    def compact(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "Clusters":
        """The clusters as they are."""
        return self

    def smooth(self, probabilities: np.ndarray, part: float) -> np.ndarray:
        """Cluster and label: every row hears the mean of its cluster, in which a seed speaks by its weight."""
        totals = np.zeros((self.numbers.max() + 1, probabilities.shape[1]))
        np.add.at(totals, self.numbers, probabilities)
        return normalised(part * normalised(totals)[self.numbers] + (1 - part) * normalised(probabilities))


@dataclass(frozen=True)
class NoSpreading:
    """Nobody hears anybody."""

    def among(self, rows: np.ndarray) -> "NoSpreading":
        """Still nobody."""
        return self

    def compact(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "NoSpreading":
        """Nobody, there neither."""
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
    return NoSpreading()


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
    return Graph(edges.maximum(edges.T).tocsr(), neighbours)


def within_class_whitened(vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Unit vectors, (all rows, width), in which directions count the less, the more rows of one label differ in them.

    Within-class covariance normalisation (Hatch et al. 2006). ``rows`` are the positions of those whose ``labels`` are
    given. Their covariance is shrunk towards the same in all directions, the more the fewer they are (Ledoit & Wolf
    2004).
    """
    from sklearn.covariance import ledoit_wolf
    from sklearn.preprocessing import normalize

    known = vectors[rows].astype(np.float64)
    _, own = np.unique(labels, return_inverse=True)
    means = np.stack([known[own == label].mean(axis=0) for label in range(own.max() + 1)])
    apart = known - means[own]
    variances, directions = np.linalg.eigh(ledoit_wolf(apart, assume_centered=True)[0])
    whitening = (directions / np.sqrt(np.maximum(variances, 1e-12))) @ directions.T
    return normalize((vectors - vectors.mean(axis=0)) @ whitening.astype(np.float32))


def nearest(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and cosines of each row's nearest others, both (rows, neighbours), in no order."""
    import torch  # picks the nearest on all cores, which takes half of NumPy's time

    every = torch.from_numpy(vectors)
    found = []
    for start in range(0, len(vectors), BLOCK):
        block = every[start : start + BLOCK] @ every.T
        own = torch.arange(len(block))
        block[own, start + own] = -2  # nobody is their own neighbour
        found.append(block.topk(neighbours, dim=1, sorted=False))
    return torch.cat([one.indices for one in found]).numpy(), torch.cat([one.values for one in found]).numpy()


def cluster(vectors: np.ndarray, clusters: int, seed: int) -> Clusters:
    """k-means over unit vectors, (rows, width)."""
    from sklearn.cluster import KMeans

    model = KMeans(min(clusters, len(vectors)), n_init=1, max_iter=50, random_state=seed)
    return Clusters(model.fit_predict(vectors))
