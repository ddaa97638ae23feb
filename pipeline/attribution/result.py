"""The settings of the methods of attribution, and what they return."""

from dataclasses import dataclass

import numpy as np


class NotApplicable(Exception):
    """The method cannot explain this model; the message gives the reason, worded as the end of a sentence."""


@dataclass(frozen=True)
class Settings:
    """How thorough the methods are."""

    steps: int  # of integrated gradients
    baseline: str  # mask or pad: the token that stands for no word
    samples: int  # of LIME, for each text
    seed: int


@dataclass(frozen=True)
class Attribution:
    """How far each word of a text moved its score: score = base + sum(words) + rest + unexplained."""

    words: np.ndarray  # (words,) float64, by the encoder and the word head together
    table: np.ndarray  # (words,) float64, the word head's exact part of it; zeros where a method cannot tell it apart
    rest: float  # of what belongs to no word, such as special tokens
    base: float  # the score without the words
    score: float
    unexplained: float  # the method's error

    def shares(self) -> np.ndarray:
        """Each word's signed share of all that moved the score, (words,), float64, -1 to 1.

        The absolute values sum to 1, or all are 0.
        """
        total = np.abs(self.words).sum()
        return self.words / total if total > 0 else np.zeros_like(self.words)
