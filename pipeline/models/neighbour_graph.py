"""The graph of nearest neighbours among texts, along which labels flow and walks go."""

from typing import Any

import numpy as np

NEIGHBOURS = 10  # of each text
EXACT_ROWS = 50_000  # beyond so many rows, neighbours are searched in the nearest cells only


def neighbour_graph(vectors: np.ndarray) -> Any:
    """Sparse symmetric edges, (rows, rows) float32: each of the unit ``vectors``, (rows, width), with its nearest ones.

    An edge has the cube of the cosine as its weight. The cube makes near neighbours count far more than those of an
    outlier, which are not near it. Fewer than two rows have no edge.
    """
    from scipy.sparse import csr_matrix

    rows, neighbours = len(vectors), min(NEIGHBOURS, max(0, len(vectors) - 1))
    near, cosine = nearest_neighbours(vectors, neighbours)
    weights = np.maximum(cosine, 0).ravel() ** 3
    edges = csr_matrix((weights, (np.repeat(np.arange(rows), neighbours), near.ravel())), shape=(rows, rows))
    return edges.maximum(edges.T).tocsr()


def nearest_neighbours(vectors: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions, int64, and cosines, float32, of each row's nearest other rows, both (rows, neighbours), nearest first.

    ``vectors`` is (rows, width), float32, of unit length. The search is exact up to `EXACT_ROWS`. Beyond, an inverted
    file (Jégou et al. 2011; Johnson et al. 2019) looks into the 16 nearest of about 4 sqrt(rows) cells, and a row that
    has too few neighbours there gets the cosine -2.
    """
    import faiss

    kind = "Flat" if len(vectors) <= EXACT_ROWS else f"IVF{int(4 * len(vectors) ** 0.5)},Flat"
    index: Any = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    if kind != "Flat":
        index.cp.seed, index.cp.max_points_per_centroid, index.nprobe = 0, 64, 16
        index.train(vectors)
    index.add(vectors)
    cosine, near = index.search(vectors, neighbours + 1)
    itself = (near == np.arange(len(vectors))[:, None]) | (near < 0)
    cosine[itself], near[itself] = -2, 0
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :neighbours]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(cosine, order, axis=1)
