"""Which words of a text made its label: integrated gradients, attention rollout and LIME, all on one scale.

A method says how far each word moved the text's *score*, which is linear in the logits: ``logits @ direction``. The
direction ``of(labels, label)`` is the label's logit less the mean of all logits, which the softmax cannot tell from the
logits themselves; ``between`` asks for one label rather than another. A network has two views of a text, the encoder's
and that of its words' table; both are in every attribution.
"""

import numpy as np

from pipeline.attribution import lime
from pipeline.attribution.model import Model, load
from pipeline.attribution.result import Attribution, NotApplicable, Settings

__all__ = ["METHODS", "Attribution", "Model", "NotApplicable", "Settings", "attribute", "between", "load", "of"]

METHODS = ("integrated_gradients", "rollout", "lime")
OUTSIDE = ("lime",)  # those that look at answers alone: they need no weights, and torch is not imported for them


def attribute(
    method: str, model: Model, texts: list[str], directions: np.ndarray, settings: Settings
) -> list[Attribution]:
    """What ``method`` says of each text and its direction, (texts, classes), in their order.

    Raises NotApplicable where the method cannot explain this model, and UserError where it lacks the baseline's token.
    """
    if method == "lime":
        return lime.attribute(model, texts, directions, settings)
    from pipeline.attribution import gradients, rollout

    inside = {"integrated_gradients": gradients.attribute, "rollout": rollout.attribute}
    return inside[method](model, texts, directions, settings)


def of(classes: int, chosen: np.ndarray) -> np.ndarray:
    """Directions (rows, classes) whose score is the chosen label's logit less the mean of all; ``chosen`` (rows,)."""
    return np.eye(classes, dtype=np.float32)[chosen] - np.float32(1 / classes)


def between(classes: int, chosen: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Directions (rows, classes) whose score is the chosen label's logit less the other's; both are (rows,)."""
    one = np.eye(classes, dtype=np.float32)
    return one[chosen] - one[other]
