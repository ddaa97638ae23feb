"""Texts of no class that resemble each other: candidates for a class that nobody has named yet."""

import numpy as np
import pandas as pd

MIN_ROWS = 8  # of a candidate; benchmarks/LOG.md has other numbers
NEIGHBOURS = 3  # that make a text dense enough for a cluster
MAX_CANDIDATES = 20  # the largest: a person looks at each
COLUMNS = {"candidate": "int64", "id": "str", "similarity": "float64"}


def find_new_classes(vectors: np.ndarray, ids: pd.Series) -> pd.DataFrame:
    """The refused texts that belong to a candidate: candidate (from 1, the largest), id, similarity to its mean.

    ``vectors`` (texts, width), float32, are unit vectors of texts of the pool that get no label, and ``ids`` the ids of
    their rows. The similarity is a cosine. The rows of a candidate stand together, the most typical one first.

    Candidates are the leaf clusters of HDBSCAN (Campello et al. 2013): no number of clusters is asked for, and texts
    like no others stay outside.
    """
    from sklearn.cluster import HDBSCAN

    tables = []
    if len(vectors) >= 2 * MIN_ROWS:
        model = HDBSCAN(min_cluster_size=MIN_ROWS, min_samples=NEIGHBOURS, cluster_selection_method="leaf", copy=True)
        numbers = model.fit_predict(vectors)
        clusters = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
        for place, rows in enumerate(sorted(clusters, key=len, reverse=True)[:MAX_CANDIDATES], start=1):
            mean = vectors[rows].mean(axis=0)
            similarity = (vectors[rows] @ (mean / np.linalg.norm(mean))).astype(float)
            table = pd.DataFrame({"candidate": place, "id": ids.to_numpy(object)[rows], "similarity": similarity})
            tables.append(table.sort_values(["similarity", "id"], ascending=[False, True]))
    return pd.concat(tables, ignore_index=True).astype(COLUMNS) if tables else no_new_classes()


def no_new_classes() -> pd.DataFrame:
    """The table without a row."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
