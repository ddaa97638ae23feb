"""What is too large for memory, on disk by the position of its row: texts, and rows of numbers.

The files are in data/scratch while the stage runs. They are read by position, not mapped into memory, so that the
memory of the stage does not grow with what was read.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np


class TextFile:
    """Texts in the order of their rows; only their offsets are in memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=2**20)
        self._lengths: list[np.ndarray] = []
        self._ends: np.ndarray | None = None

    def append(self, content: bytes, lengths: np.ndarray) -> None:
        """Add texts: their UTF-8 bytes one after the other; ``lengths``, (texts,) uint32, are the bytes of each."""
        self._file.write(content)
        self._lengths.append(lengths)

    def finish(self) -> None:
        """Make what was added readable; nothing is added later."""
        self._file.flush()
        self._ends = np.cumsum(np.concatenate([np.zeros(1, np.uint32), *self._lengths]), dtype=np.int64)
        self._lengths = []

    def take(self, positions: np.ndarray) -> list[str]:
        """The texts at ``positions``, (n,) int64, in their order."""
        assert self._ends is not None
        texts: list[str] = []
        for start, stop in runs(positions):
            ends = self._ends[start : stop + 1]
            content = os.pread(self._file.fileno(), int(ends[-1] - ends[0]), int(ends[0]))
            places = (ends - ends[0]).tolist()
            texts += [content[a:b].decode() for a, b in pairwise(places)]
        return texts

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NumberFile:
    """Rows of as many numbers each, in the order of the rows of the data."""

    def __init__(self, path: Path, width: int, dtype: "np.dtype[np.generic] | type[np.generic]") -> None:
        self.width, self.dtype = width, np.dtype(dtype)
        self._file = path.open("w+b", buffering=2**20)

    def append(self, rows: np.ndarray) -> None:
        """Add ``rows``, (n, width), of the file's dtype, such as uint32."""
        self._file.write(np.ascontiguousarray(rows, self.dtype).tobytes())

    def finish(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The rows at ``positions``, (n,) int64, in their order: (n, width) of the file's dtype."""
        size = self.width * self.dtype.itemsize
        content = [os.pread(self._file.fileno(), (b - a) * size, a * size) for a, b in runs(positions)]
        return np.frombuffer(b"".join(content), self.dtype).reshape(-1, self.width)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def runs(positions: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and stop of each run of ``positions``, (n,) int64, that follow one another, so that it is read at once."""
    if not len(positions):
        return
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    starts = positions[np.concatenate([[0], breaks])]
    stops = positions[np.concatenate([breaks - 1, [len(positions) - 1]])] + 1
    yield from zip(starts.tolist(), stops.tolist(), strict=True)
