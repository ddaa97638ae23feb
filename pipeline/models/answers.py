"""What a bundle answers to a text: a label, or none where the text is unlike every class."""

from typing import NamedTuple

import numpy as np

UNLIKE_EVERY_CLASS = "unlike every class"


class Answer(NamedTuple):
    """The answer to one text."""

    label: str | None  # None: the model abstains
    confidence: float  # of the most probable label, calibrated, 0 to 1, whether it is given or not
    score: float | None  # how unlike every class the text is; above the bundle's threshold it abstains
    best: str  # the most probable label, whether it is given or not

    @property
    def abstained(self) -> bool:
        """Whether the model gives no label."""
        return self.label is None

    @property
    def reason(self) -> str | None:
        """Why there is no label; None where there is one."""
        return UNLIKE_EVERY_CLASS if self.abstained else None


def make_answers(
    labels: tuple[str, ...], probabilities: np.ndarray, scores: np.ndarray | None, refused: np.ndarray | None
) -> list[Answer]:
    """The answer to each text: its most probable label, or none where it is ``refused``, (texts,), bool.

    ``probabilities`` is (texts, labels), float32, and ``scores`` (texts,), float64. Where nothing is refused, there are
    neither scores nor refusals.
    """
    best = [labels[index] for index in probabilities.argmax(axis=1)]
    confidences = probabilities.max(axis=1, initial=0).astype(float).tolist()
    if scores is None or refused is None:
        return [Answer(label, confidence, None, label) for label, confidence in zip(best, confidences, strict=True)]
    return [
        Answer(None if refuse else label, confidence, float(score), label)
        for label, confidence, score, refuse in zip(best, confidences, scores, refused, strict=True)
    ]
