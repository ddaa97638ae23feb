"""Which of the candidates ships, by labels that none of them has learned from. Test labels decide nothing.

Where pseudo-labels were kept, the pipeline's model ships unless a simpler one is clearly better; elsewhere the simplest
ships unless a more complex one is clearly better. Clearly means a mean Brier score that is lower by more than two
standard errors of the difference.

The start differs because few held-out labels tell little: pseudo-labels that were seen to help have earned their place
already, and without them the pipeline's model is a probe with additions that help as often as not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

CANDIDATES = {  # from the simplest to the most complex
    "probe": "logistic regression on the untouched encoder",
    "teacher_head": "the teacher on the frozen encoder",
    "network": "the fine-tuned network",
}
# Fewer rows cannot tell two models apart: the standard error of an accuracy of 0.7 on 20 rows is 10 points.
MIN_ROWS = 20
CLEAR = 2.0  # standard errors of the difference: chance alone gives more in one comparison of forty


@dataclass(frozen=True)
class ModelChoice:
    """The candidate that ships, and why in a sentence."""

    name: str
    reason: str


def choose_model(brier: Mapping[str, np.ndarray], own: str, pseudo_labels: bool, rows: str) -> ModelChoice:
    """The candidate that ships, by the rule above.

    ``brier`` holds the Brier scores of each candidate, (rows,), float64, 0 to 2, on the same held-out rows; ``own``
    names what the pipeline made, and ``pseudo_labels`` is whether pseudo-labels were kept. ``rows`` says what the rows
    are, such as "48 held-out gold rows".
    """
    names = [name for name in CANDIDATES if name in brier]
    start = own if pseudo_labels else names[0]
    best = start
    for name in names:
        if name != best and gain_in_errors(brier[best], brier[name]) > CLEAR:
            best = name
    scores = ", ".join(f"{CANDIDATES[name]} {float(brier[name].mean()):.3f}" for name in names)
    why = explain_start(start, best, pseudo_labels)
    return ModelChoice(best, f"{sentence_start(best)} is chosen: {why} on {rows} (Brier score, 0 is best: {scores}).")


def sentence_start(name: str) -> str:
    """The description of a candidate with a capital letter."""
    return CANDIDATES[name][0].upper() + CANDIDATES[name][1:]


def explain_start(start: str, best: str, pseudo_labels: bool) -> str:
    """Why the candidate ``best`` ships where the comparison started from ``start``."""
    if best != start:
        return f"it is clearly better than {CANDIDATES[start]}"
    if pseudo_labels:
        return "pseudo-labels were kept, and no simpler model is clearly better"
    return "no pseudo-labels were kept, and no more complex model is clearly better"


def gain_in_errors(reference: np.ndarray, other: np.ndarray) -> float:
    """By how many standard errors of the difference the mean Brier score of ``other`` is below that of ``reference``.

    Both are (rows,), float64: Brier scores of the same rows. Without any difference it is 0.
    """
    difference = reference - other
    error = float(difference.std()) / math.sqrt(len(difference))
    return float(difference.mean()) / error if error else 0.0
