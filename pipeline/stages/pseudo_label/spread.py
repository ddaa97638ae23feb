"""How labels flow between near texts: along a nearest-neighbour graph, within clusters, or not at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.params import PseudoLabel

NEIGHBOURS = 10  # of each text in the graph
BLOCK_ROWS = 2000  # rows whose similarities to all others are in memory at a time: 400 MB at 50,000 rows
EXACT_ROWS = 50_000  # beyond so many rows, neighbours are searched in the nearest cells only
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

    def find_own(self, seeds: int, texts: int) -> np.ndarray:
        """Whether each text is near enough to the seeds to be of a class, (texts,) bool.

        The first ``seeds`` rows of the graph are the seeds, and ``texts`` rows follow them.

        A random walk along the edges restarts at the seeds (personalised PageRank, Page et al. 1999; Tong et al. 2006).
        Texts of no class lie in corners of the graph that it hardly reaches. The typical reach is the median over the
        walk's own visits, so that it does not depend on how many foreign texts there are.
        """
        if self.edges is None or seeds == 0 or texts == 0:
            return np.ones(texts, dtype=bool)
        restart = np.zeros(seeds + texts, dtype=np.float32)
        restart[:seeds] = 1
        matrix, visits = normalised(self.edges), restart
        for _ in range(WALK_STEPS):
            visits = WALK_ON * (matrix @ visits) + (1 - WALK_ON) * restart
        degree = np.sqrt(np.asarray(self.edges.sum(axis=1)).ravel())
        reach = (visits / np.maximum(degree, 1e-6))[seeds:]
        order = np.argsort(reach)
        passed = np.cumsum(reach[order])
        typical = reach[order][np.searchsorted(passed, passed[-1] / 2)]
        return reach >= FOREIGN_REACH * typical


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
    return Spread(graph_edges(centred, min(NEIGHBOURS, len(vectors) - 1)))


def graph_edges(vectors: np.ndarray, neighbours: int) -> Any:
    """Sparse edges, (rows, rows) float32: each of the unit ``vectors``, (rows, width), with its nearest ones.

    An edge has the cube of the cosine as its weight. The cube makes near neighbours count far more than those of an
    outlier, which are not near it.
    """
    from scipy.sparse import csr_matrix

    rows = len(vectors)
    near, cosine = nearest_neighbours(vectors, neighbours)
    weights = np.maximum(cosine, 0).ravel() ** 3
    edges = csr_matrix((weights, (np.repeat(np.arange(rows), neighbours), near.ravel())), shape=(rows, rows))
    return edges.maximum(edges.T).tocsr()


def nearest_neighbours(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions, int64, and cosines, float32, of each row's nearest other rows, both (rows, neighbours).

    ``vectors`` is (rows, width), float32, of unit length. The search is exact up to `EXACT_ROWS`. Beyond, an inverted
    file (Jégou et al. 2011) looks into the 16 nearest of about 4 sqrt(rows) cells.
    """
    import torch  # its topk uses all cores, which takes half of NumPy's time

    if len(vectors) > EXACT_ROWS:
        return approximate_neighbours(vectors, neighbours)
    all_rows = torch.from_numpy(np.ascontiguousarray(vectors))
    blocks = []
    for start in range(0, len(vectors), BLOCK_ROWS):
        cosines = all_rows[start : start + BLOCK_ROWS] @ all_rows.T
        diagonal = torch.arange(len(cosines))
        cosines[diagonal, start + diagonal] = -2  # below every cosine: no row is its own neighbour
        blocks.append(cosines.topk(neighbours, dim=1))
    return torch.cat([block.indices for block in blocks]).numpy(), torch.cat([block.values for block in blocks]).numpy()


def approximate_neighbours(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and cosines of each row's neighbours, both (rows, neighbours), int and float32, most similar first.

    ``vectors`` is (rows, width), float32, of unit length. Only the nearest cells of an inverted file are searched
    (Johnson et al. 2019); a row that has too few neighbours there gets the cosine -2.
    """
    import faiss

    cells = int(4 * len(vectors) ** 0.5)
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.max_points_per_centroid = 0, 64
    index.train(vectors)
    index.add(vectors)
    index.nprobe = 16
    cosine, near = index.search(vectors, neighbours + 1)
    own = (near == np.arange(len(vectors))[:, None]) | (near < 0)
    cosine[own], near[own] = -2, 0
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :neighbours]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(cosine, order, axis=1)


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
