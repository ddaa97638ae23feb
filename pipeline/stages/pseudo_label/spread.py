"""How labels flow between near texts: along a nearest-neighbour graph, within clusters, or not at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.params import PseudoLabel
from pipeline.models.neighbour_graph import NEIGHBOURS, neighbour_graph

STEPS = 6  # of label spreading: labels come from so many edges away
# The walk that finds rows of no class: the share of it that goes on, its steps, and the share of the typical reach
# below which a row counts as foreign. On data without foreign rows 0 to 3.6% of the pool lay below it.
WALK_ON, WALK_STEPS, FOREIGN_REACH = 0.95, 60, 0.15


@dataclass(frozen=True)
class Spread:
    """The edges between texts; row i of the matrix holds how much of its neighbours' labels text i gets."""

    edges: Any  # sparse (rows, rows) float32, symmetric, not normalised; None: no labels flow

    def restrict(self, rows: np.ndarray) -> "Spread":
        """The spread between the texts at the positions ``rows``, (selected rows,) int, only."""
        return self if self.edges is None else Spread(self.edges[rows][:, rows])

    def smooth(self, probabilities: np.ndarray, share: float) -> np.ndarray:
        """Label spreading (Zhou et al. 2004): the smoothed probabilities, (rows, classes) float32 with row sums 1.

        ``probabilities`` is (rows, classes), float32; ``share``, 0 to 1, comes from neighbours in each step.
        """
        if self.edges is None:
            return probabilities
        matrix, flow = normalised(self.edges), probabilities
        for _ in range(STEPS):
            flow = share * (matrix @ flow) + (1 - share) * probabilities
        return flow / np.maximum(flow.sum(axis=1, keepdims=True), 1e-12)

    def agreement(self, labels: np.ndarray, classes: int) -> float:
        """The share of edges whose ends have the same label, beyond chance: Cohen's (1960) kappa, 0 to 1.

        ``labels`` is (rows,), int: class numbers. High values say that classes are what separates texts in this space.
        Without edges it is 1.
        """
        if self.edges is None:
            return 1.0
        pairs = self.edges.tocoo()
        same = float((labels[pairs.row] == labels[pairs.col]).mean()) if pairs.nnz else 0.0
        chance = float(((np.bincount(labels, minlength=classes) / max(1, len(labels))) ** 2).sum())
        return max(0.0, (same - chance) / (1 - chance)) if chance < 1 else 0.0

    def find_own(self, seeds: int, rows: int) -> np.ndarray:
        """Whether each of the ``rows`` is near enough to the seeds, its first rows, to be of a class, (rows,) bool.

        A random walk along the edges restarts at the seeds (personalised PageRank, Page et al. 1999; Tong et al. 2006).
        Texts of no class lie in corners of the graph that it hardly reaches. The typical reach is the median over the
        walk's own visits, so that it does not depend on how many foreign texts there are.
        """
        if self.edges is None or seeds in (0, rows):
            return np.ones(rows, dtype=bool)
        restart = np.zeros(rows, dtype=np.float32)
        restart[:seeds] = 1
        matrix, visits = normalised(self.edges), restart
        for _ in range(WALK_STEPS):
            visits = WALK_ON * (matrix @ visits) + (1 - WALK_ON) * restart
        degree = np.sqrt(np.asarray(self.edges.sum(axis=1)).ravel())
        reach = (visits / np.maximum(degree, 1e-6))[seeds:]
        order = np.argsort(reach)
        passed = np.cumsum(reach[order])
        typical = reach[order][np.searchsorted(passed, passed[-1] / 2)]
        return np.concatenate([np.ones(seeds, dtype=bool), reach >= FOREIGN_REACH * typical])


def normalised(edges: Any) -> Any:
    """D^-1/2 E D^-1/2 of the symmetric sparse ``edges``, (rows, rows) float32, with the degrees D."""
    from scipy.sparse import diags

    degree = np.asarray(edges.sum(axis=1)).ravel()
    scale = diags((np.where(degree > 0, degree, 1.0) ** -0.5).astype(np.float32))
    return (scale @ edges @ scale).tocsr()


def build_spread(vectors: np.ndarray, classes: int, params: PseudoLabel) -> Spread:
    """The spread of the kind ``params.spread`` over ``vectors``, (rows, width) float32, after their mean is removed."""
    from sklearn.preprocessing import normalize

    if params.spread == "none" or len(vectors) < 3:
        return Spread(None)
    centred = normalize(vectors - vectors.mean(axis=0)).astype(np.float32)
    if params.spread == "clusters":
        return Spread(cluster_edges(centred, params.clusters * classes, params.seed))
    return Spread(neighbour_graph(centred))


def cluster_edges(vectors: np.ndarray, clusters: int, seed: int) -> Any:
    """Sparse edges, (rows, rows) float32, between ``vectors``, (rows, width) float32, of one k-means cluster.

    A row is joined with `NEIGHBOURS` rows of its cluster, so that the matrix stays sparse.
    """
    from scipy.sparse import csr_matrix
    from sklearn.cluster import KMeans

    numbers = KMeans(min(clusters, len(vectors)), n_init=1, max_iter=50, random_state=seed).fit_predict(vectors)
    order = np.argsort(numbers, kind="stable")
    rows, columns = [], []
    for step in range(1, NEIGHBOURS // 2 + 1):
        same = numbers[order[:-step]] == numbers[order[step:]]
        rows.append(order[:-step][same])
        columns.append(order[step:][same])
    pairs = (np.concatenate(rows), np.concatenate(columns))
    edges = csr_matrix((np.ones(len(pairs[0]), dtype=np.float32), pairs), shape=(len(vectors), len(vectors)))
    return edges.maximum(edges.T).tocsr()
