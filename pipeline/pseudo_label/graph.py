"""A nearest-neighbour graph over seeds and pool, along which probabilities spread: near texts share a label."""

from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 2000  # rows whose similarities to all others are in memory at a time


@dataclass(frozen=True)
class Graph:
    """Symmetrically normalised adjacency of the rows, (rows, rows), sparse."""

    adjacency: Any

    def smooth(self, probabilities: np.ndarray, alpha: float, steps: int = 20) -> np.ndarray:
        """Mix each row's probabilities, (rows, classes), with its neighbours': label spreading, Zhou et al. 2004.

        ``alpha`` is the neighbours' part; what comes back sums to 1 in each row.
        """
        spread = probabilities
        for _ in range(steps):
            spread = alpha * (self.adjacency @ spread) + (1 - alpha) * probabilities
        return spread / np.maximum(spread.sum(axis=1, keepdims=True), 1e-12)


def build(vectors: np.ndarray, neighbours: int) -> Graph:
    """Connect each unit vector, (rows, width), with its nearest ones; an edge weighs the cube of their cosine.

    The cube lets near neighbours count far more than the merely nearest of an outlier.
    """
    from scipy.sparse import csr_matrix, diags

    rows = len(vectors)
    neighbours = min(neighbours, rows - 1)
    near, cosine = nearest(vectors, neighbours)
    weights = np.maximum(cosine, 0).ravel().astype(np.float64) ** 3
    edges = csr_matrix((weights, (np.repeat(np.arange(rows), neighbours), near.ravel())), shape=(rows, rows))
    edges = edges.maximum(edges.T)
    degree = np.asarray(edges.sum(axis=1)).ravel()
    scale = diags(np.where(degree > 0, degree, 1.0) ** -0.5)
    return Graph(scale @ edges @ scale)


def nearest(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and cosines of each row's nearest others, both (rows, neighbours), in no order."""
    near = np.empty((len(vectors), neighbours), dtype=np.int64)
    cosine = np.empty((len(vectors), neighbours), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK] @ vectors.T
        own = np.arange(len(block))
        block[own, start + own] = -2  # nobody is their own neighbour
        picked = np.argpartition(-block, neighbours - 1, axis=1)[:, :neighbours] if neighbours else own[:, :0]
        near[start : start + BLOCK] = picked
        cosine[start : start + BLOCK] = np.take_along_axis(block, picked, axis=1)
    return near, cosine
