"""The vectors of many texts by the position of the text: in memory, or in a file that is mapped where they are many.

The system may drop the pages of a mapped file from memory and read them again, so that the vectors of millions of texts
do not have to fit. The file has no name any more: its space is free as soon as nothing uses the vectors.
"""

import tempfile

import numpy as np

from pipeline.core.stage import Paths

MAPPED_ROWS = 50_000  # from which the vectors are in a file; 384 float32 values each take 77 MB


class VectorTable:
    """One vector for each position, filled in any order."""

    def __init__(self, rows: int, paths: Paths) -> None:
        self.is_filled = np.zeros(rows, dtype=bool)
        self._paths = paths
        self._vectors: np.ndarray | None = None

    def put(self, places: list[int], vectors: list[np.ndarray]) -> None:
        """Keep each of ``vectors``, (width,), float32, at its place in ``places``."""
        if not places:
            return
        if self._vectors is None:
            self._vectors = empty_vectors(len(self.is_filled), len(vectors[0]), self._paths)
        self._vectors[places] = vectors
        self.is_filled[places] = True

    def finish(self, firsts: np.ndarray) -> np.ndarray:
        """The vectors, (rows, width), float32; ``firsts``, (rows,) int64, is where each position's vector is.

        Raises ValueError if there are no texts.
        """
        if self._vectors is None:
            raise ValueError("there is no vector")
        repeated = np.flatnonzero(firsts != np.arange(len(firsts)))
        for start in range(0, len(repeated), MAPPED_ROWS):
            part = repeated[start : start + MAPPED_ROWS]
            self._vectors[part] = self._vectors[firsts[part]]
        return self._vectors


def empty_vectors(rows: int, width: int, paths: Paths) -> np.ndarray:
    """An array for vectors, (rows, width), float32: in memory, or mapped from `MAPPED_ROWS` rows on."""
    if rows < MAPPED_ROWS:
        return np.empty((rows, width), dtype=np.float32)
    folder = paths.scratch("embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.asarray(np.memmap(file, dtype=np.float32, mode="w+", shape=(rows, width)))
