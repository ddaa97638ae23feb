"""What a method of attribution is told, and what it returns."""

from dataclasses import dataclass

import numpy as np


class NotApplicable(Exception):
    """The method cannot explain this model; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class Settings:
    """How thorough the methods are."""

    steps: int  # of integrated gradients
    baseline: str  # mask or pad: the token that stands for no word
    samples: int  # of LIME, for each text
    seed: int


@dataclass(frozen=True)
class Attribution:
    """How far each word of a text moved its score: score = base + sum(words) + rest + delta."""

    words: np.ndarray  # (words,) float64, both views of the model together
    table: np.ndarray  # (words,) the exact part of the words' table in it; zeros where the method cannot tell it apart
    rest: float  # of what belongs to no word, such as special tokens
    base: float  # the score without the words
    score: float
    delta: float  # what the method leaves unexplained: its error

    def shares(self) -> np.ndarray:
        """Each word's part of all that moved the score, signed; absolute values sum to 1, or all are 0."""
        total = np.abs(self.words).sum()
        return self.words / total if total > 0 else np.zeros_like(self.words)
