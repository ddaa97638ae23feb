"""Answers of a served version as numbers, without the texts: what passed through, or what the training had."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ANYONE = "anyone"  # the id of whoever asks a service without keys
NO_LABEL = ""  # stands for the label of a text that got none; no class has an empty name


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
    text_numbers: np.ndarray | None  # (rows,) int64, the same for the same text; None where none were kept

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def abstained(self) -> np.ndarray:
        """Whether each text got no label, (rows,), bool."""
        mask: np.ndarray = self.labels == NO_LABEL
        return mask

    @cached_property
    def distinct(self) -> "Traffic":
        """The first row of each text, in order: as in a night, a text counts once. All rows without text numbers."""
        if self.text_numbers is None:
            return self
        return self.take(np.sort(np.unique(self.text_numbers, return_index=True)[1]))

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
            None if self.text_numbers is None else self.text_numbers[rows],
        )


def count_by_minute(times: np.ndarray, keys: np.ndarray) -> dict[str, Counter[np.datetime64]]:
    """The texts of each key in each minute, UTC, that has any.

    ``times`` is (rows,), datetime64[us], UTC, ``keys`` is (rows,), object: str.
    """
    counts = {}
    for key in sorted(set(keys)):
        minutes, texts = np.unique(times[keys == key].astype("datetime64[m]"), return_counts=True)
        counts[key] = Counter(dict(zip(minutes, texts.tolist(), strict=True)))
    return counts
