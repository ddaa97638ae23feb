"""Attribution: which words of a text made its label. Integrated gradients, attention rollout and LIME, on one scale.

A method returns how far each word moved the text's *score*. The score is linear in the logits: ``logits @ direction``.
The directions of `score_directions` make it the label's logit less the mean of all logits (a softmax does not change
when the same number is added to all logits, so the mean carries no information). Those of `contrast_directions` make it
one label's logit less another's.

The logits of a network have two parts: the encoder's and the word head's. Every attribution covers both.
"""

import numpy as np

from pipeline.attribution import lime
from pipeline.attribution.model import Model, load
from pipeline.attribution.result import Attribution, NotApplicable, Settings

__all__ = [
    "BLACK_BOX_METHODS",
    "METHODS",
    "Attribution",
    "Model",
    "NotApplicable",
    "Settings",
    "attribute",
    "contrast_directions",
    "load",
    "score_directions",
]

METHODS = ("integrated_gradients", "rollout", "lime")
BLACK_BOX_METHODS = ("lime",)  # need only the model's answers: no weights, and no import of torch


def attribute(
    method: str, model: Model, texts: list[str], directions: np.ndarray, settings: Settings
) -> list[Attribution]:
    """The attribution of each text by ``method``, in the order of the texts.

    ``directions`` (texts, classes), float32, gives the score that is explained of each text. Raises NotApplicable if
    the method cannot explain this model, and UserError if its tokenizer lacks the token of the baseline.
    """
    if method == "lime":
        return lime.attribute(model, texts, directions, settings)
    from pipeline.attribution import gradients, rollout

    methods = {"integrated_gradients": gradients.attribute, "rollout": rollout.attribute}
    return methods[method](model, texts, directions, settings)


def score_directions(classes: int, labels: np.ndarray) -> np.ndarray:
    """Directions (rows, classes), float32, whose score is the label's logit less the mean of all logits.

    ``labels`` (rows,), int, are class indices.
    """
    return np.eye(classes, dtype=np.float32)[labels] - np.float32(1 / classes)


def contrast_directions(classes: int, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Directions (rows, classes), float32, whose score is one label's logit less another's.

    ``labels`` and ``others`` (rows,), int, are class indices.
    """
    one_hot = np.eye(classes, dtype=np.float32)
    return one_hot[labels] - one_hot[others]
