"""Answers of a served version as numbers, without the texts: what passed through, or what the training had."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NO_LABEL = "(none)"  # stands for the label of a text that got none


@dataclass(frozen=True)
class Traffic:
    """One row for each answered text, in the order of time."""

    times: np.ndarray  # (rows,) datetime64[us], UTC
    ids: np.ndarray  # (rows,) object: str, of the predictions
    keys: np.ndarray  # (rows,) object: str, ids of API keys
    labels: np.ndarray  # (rows,) object: str, NO_LABEL where the model abstained
    confidences: np.ndarray  # (rows,) float64, 0 to 1: calibrated probability of the most probable label
    margins: np.ndarray  # (rows,) float64, 0 to 1: by which it is above that of the second one
    vectors: np.ndarray | None  # (rows, width) float32; None where none were kept

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def abstained(self) -> np.ndarray:
        """Whether each text got no label, (rows,), bool."""
        mask: np.ndarray = self.labels == NO_LABEL
        return mask

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for each row, (rows,), int64: texts with the same vector have the same; without vectors, all differ.

        What is compared is rounded to 1/64, so that the last digits, which may depend on the batch, make no two of one
        text. In int8 answers depend on the batch by more than that, and a repeated text may count twice.
        """
        if self.vectors is None:
            return np.arange(len(self))
        rounded = np.ascontiguousarray(np.round(self.vectors * 64).astype(np.int8))
        as_bytes = rounded.view(np.dtype((np.void, rounded.dtype.itemsize * rounded.shape[1]))).ravel()
        numbers: np.ndarray = np.unique(as_bytes, return_inverse=True)[1]
        return numbers.ravel()

    @cached_property
    def firsts(self) -> np.ndarray:
        """The first row of each distinct text, (texts,), int64, in order; as in a night, a text counts once there."""
        positions: np.ndarray = np.sort(np.unique(self.groups, return_index=True)[1])
        return positions

    def take(self, rows: np.ndarray) -> "Traffic":
        """The chosen ``rows``: a mask, (rows,), bool, or positions, (chosen,), int64."""
        return Traffic(
            self.times[rows],
            self.ids[rows],
            self.keys[rows],
            self.labels[rows],
            self.confidences[rows],
            self.margins[rows],
            None if self.vectors is None else self.vectors[rows],
        )
