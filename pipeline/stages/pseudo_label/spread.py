"""Label spreading: each row's probabilities are mixed with those of near rows, along a graph or within clusters."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pipeline.core.params import PseudoLabel

BLOCK_ROWS = 2000  # rows whose similarities to all others are in memory at a time: 800 MB at 100,000 rows
SPREADING_STEPS = 20  # iterations towards the fixed point; with an alpha of 0.8 the distance to it shrinks to 1%


class Spread(Protocol):
    """How labels flow between the rows that the spread was built from."""

    def restrict(self, rows: np.ndarray) -> "Spread":
        """The spread between the rows at the positions ``rows``, (selected rows,) int, only."""

    def whiten(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "Spread":
        """The spread over ``vectors``, (all rows, width) float32, after within-class whitening.

        ``labels``, (labelled rows,) int, are the class numbers of the vectors at the positions ``rows``, (labelled
        rows,) int.
        """

    def smooth(self, probabilities: np.ndarray, alpha: float) -> np.ndarray:
        """The mixture of each row's probabilities with those of near rows, (rows, classes) float64 with row sums 1.

        ``probabilities`` is (rows, classes), float64, 0 or more. A row counts by its sum, so that a seed brings its
        weight with it. ``alpha``, 0 to 1, is the share that comes from near rows.
        """


@dataclass(frozen=True)
class NeighbourGraph:
    """Labels flow along the edges of a nearest-neighbour graph."""

    edges: Any  # sparse (rows, rows) float64, symmetric, not yet normalised
    neighbours: int  # number of neighbours that each row was connected with

    def restrict(self, rows: np.ndarray) -> "NeighbourGraph":
        """The graph of the rows at the positions ``rows``, (selected rows,) int, and of the edges between them."""
        return replace(self, edges=self.edges[rows][:, rows])

    def whiten(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "NeighbourGraph":
        """A new graph over ``vectors``, (all rows, width) float32, after within-class whitening.

        ``labels``, (labelled rows,) int, are the class numbers of the vectors at the positions ``rows``, (labelled
        rows,) int.
        """
        return build_graph(whiten_within_classes(vectors, rows, labels), self.neighbours)

    def smooth(self, probabilities: np.ndarray, alpha: float, steps: int = SPREADING_STEPS) -> np.ndarray:
        """Label spreading (Zhou et al. 2004): the smoothed probabilities, (rows, classes) float64 with row sums 1.

        ``probabilities`` is (rows, classes), float64, 0 or more; ``alpha``, 0 to 1, is the share that comes from near
        rows in each of ``steps`` iterations.
        """
        from scipy.sparse import diags

        degree = np.asarray(self.edges.sum(axis=1)).ravel()
        scale = diags(np.where(degree > 0, degree, 1.0) ** -0.5)
        adjacency = (scale @ self.edges @ scale).tocsr()
        spread = probabilities
        for _ in range(steps):
            spread = alpha * (adjacency @ spread) + (1 - alpha) * probabilities
        return normalise_rows(spread)


@dataclass(frozen=True)
class Clusters:
    """Labels flow between the rows of a cluster."""

    numbers: np.ndarray  # (rows,) int, the cluster of each row

    def restrict(self, rows: np.ndarray) -> "Clusters":
        """The clusters of the rows at the positions ``rows``, (selected rows,) int."""
        return Clusters(self.numbers[rows])

    def whiten(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "Clusters":
        """These clusters, unchanged.

        ``vectors``, (all rows, width) float32, ``rows`` and ``labels``, (labelled rows,) int, are not used.
        """
        return self

    def smooth(self, probabilities: np.ndarray, alpha: float) -> np.ndarray:
        """The mixture of each row with the mean of its cluster, (rows, classes) float64 with row sums 1.

        ``probabilities`` is (rows, classes), float64, 0 or more, and each row counts by its sum. ``alpha``, 0 to 1, is
        the share that comes from the cluster.
        """
        totals = np.zeros((self.numbers.max() + 1, probabilities.shape[1]))
        np.add.at(totals, self.numbers, probabilities)
        return normalise_rows(
            alpha * normalise_rows(totals)[self.numbers] + (1 - alpha) * normalise_rows(probabilities)
        )


@dataclass(frozen=True)
class NoSpreading:
    """No labels flow: each row keeps its probabilities."""

    def restrict(self, rows: np.ndarray) -> "NoSpreading":
        """This object, unchanged; ``rows``, (selected rows,) int, are not used."""
        return self

    def whiten(self, vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> "NoSpreading":
        """This object, unchanged.

        ``vectors``, (all rows, width) float32, ``rows`` and ``labels``, (labelled rows,) int, are not used.
        """
        return self

    def smooth(self, probabilities: np.ndarray, alpha: float) -> np.ndarray:
        """``probabilities``, (rows, classes) float64, scaled to row sums of 1; ``alpha`` is not used."""
        return normalise_rows(probabilities)


def normalise_rows(rows: np.ndarray) -> np.ndarray:
    """``rows``, (rows, classes) float64, 0 or more, scaled to row sums of 1; a row of zeros stays as it is."""
    return rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12)


def build_spread(vectors: np.ndarray, classes: int, params: PseudoLabel) -> Spread:
    """The spread of the kind ``params.spread`` over unit ``vectors``, (rows, width) float32."""
    if params.spread == "graph" and len(vectors):
        return build_graph(vectors, params.neighbours)
    if params.spread == "clusters" and len(vectors):
        return build_clusters(vectors, params.clusters * classes, params.seed)
    return NoSpreading()


def build_graph(vectors: np.ndarray, neighbours: int) -> NeighbourGraph:
    """The graph that connects each of the unit ``vectors``, (rows, width) float32, with its nearest ones.

    An edge has the cube of the cosine as its weight. The cube makes near neighbours count far more than the neighbours
    of an outlier, which are not near it.
    """
    from scipy.sparse import csr_matrix

    rows = len(vectors)
    neighbours = min(neighbours, rows - 1)
    near, cosine = nearest_neighbours(vectors, neighbours)
    weights = np.maximum(cosine, 0).ravel().astype(np.float64) ** 3
    edges = csr_matrix((weights, (np.repeat(np.arange(rows), neighbours), near.ravel())), shape=(rows, rows))
    return NeighbourGraph(edges.maximum(edges.T).tocsr(), neighbours)


def whiten_within_classes(vectors: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Unit vectors, (all rows, width) float32, in which a direction counts less the more it varies within the classes.

    This is within-class covariance normalisation (Hatch et al. 2006). ``vectors`` is (all rows, width), float32;
    ``labels``, (labelled rows,) int, are the class numbers of the vectors at the positions ``rows``, (labelled rows,)
    int. The covariance within the classes is shrunk towards the same variance in all directions; the shrinkage is the
    stronger the fewer labelled rows there are (Ledoit & Wolf 2004).
    """
    from sklearn.covariance import ledoit_wolf
    from sklearn.preprocessing import normalize

    labelled = vectors[rows].astype(np.float64)
    _, class_of_row = np.unique(labels, return_inverse=True)
    means = np.stack([labelled[class_of_row == number].mean(axis=0) for number in range(class_of_row.max() + 1)])
    deviations = labelled - means[class_of_row]
    variances, directions = np.linalg.eigh(ledoit_wolf(deviations, assume_centered=True)[0])
    whitening = (directions / np.sqrt(np.maximum(variances, 1e-12))) @ directions.T
    return normalize((vectors - vectors.mean(axis=0)) @ whitening.astype(np.float32))


def nearest_neighbours(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions, int64, and cosines, float32, of each row's nearest other rows, both (rows, neighbours), in no order.

    ``vectors`` is (rows, width), float32, of unit length.
    """
    import torch  # its topk uses all cores, which takes half of NumPy's time

    all_rows = torch.from_numpy(vectors)
    blocks = []
    for start in range(0, len(vectors), BLOCK_ROWS):
        cosines = all_rows[start : start + BLOCK_ROWS] @ all_rows.T
        diagonal = torch.arange(len(cosines))
        cosines[diagonal, start + diagonal] = -2  # below every cosine: no row is its own neighbour
        blocks.append(cosines.topk(neighbours, dim=1, sorted=False))
    return torch.cat([block.indices for block in blocks]).numpy(), torch.cat([block.values for block in blocks]).numpy()


def build_clusters(vectors: np.ndarray, clusters: int, seed: int) -> Clusters:
    """The k-means clusters of ``vectors``, (rows, width) float32."""
    from sklearn.cluster import KMeans

    model = KMeans(min(clusters, len(vectors)), n_init=1, max_iter=50, random_state=seed)
    return Clusters(model.fit_predict(vectors))
