"""The words that drive each class: by their attributions in the sample, and by the exact weights of the word head."""

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.attribution import Model

if TYPE_CHECKING:
    import torch

COLUMNS = ("class", "from", "word", "rows", "value")


def drivers_from_sample(attributions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` words that add most to each class's score in the sample, one row for each.

    ``attributions`` has ``id, class, word, attribution`` for each word of each text; the class is the predicted one.
    ``value`` is what the word adds to the class's score, as a mean over the class's texts. ``rows`` counts the texts
    with the word, in any case.
    """
    words = attributions.assign(word=attributions["word"].map(casefolded))
    texts = words.groupby("class")["id"].nunique()
    drivers = words.groupby(["class", "word"], as_index=False).agg(total=("attribution", "sum"), rows=("id", "nunique"))
    drivers["value"] = drivers["total"] / drivers["class"].map(texts)
    drivers = drivers[drivers["value"] > 0]
    drivers = drivers.sort_values(["class", "value", "word"], ascending=[True, False, True])
    return drivers.groupby("class").head(count).assign(**{"from": "attributions"})[list(COLUMNS)]


def casefolded(word: str) -> str:
    """A word without its case, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", word.casefold())


def drivers_from_table(model: Model, count: int) -> pd.DataFrame:
    """The ``count`` tokens with the largest weights for each class in the word head; none for a model without one.

    ``value`` is what a text of that token only would add to the class's score: its logit less the mean of all.
    """
    words = model.internals.network.words if model.internals else None
    if words is None or model.internals is None:
        return pd.DataFrame(columns=list(COLUMNS))
    counted = np.flatnonzero(words.idf.numpy() > 0)
    weights = centred_weights(words.table)[counted]
    parts = []
    for index, label in enumerate(model.labels):
        best = np.argsort(-weights[:, index], kind="stable")[:count]
        tokens = [model.internals.tokenizer.id_to_token(int(token)) for token in counted[best]]
        parts.append(pd.DataFrame({"class": label, "word": tokens, "value": weights[best, index].astype(float)}))
    drivers = pd.concat(parts, ignore_index=True)
    return drivers[drivers["value"] > 0].assign(**{"from": "table", "rows": None})[list(COLUMNS)]


def centred_weights(table: "torch.Tensor") -> np.ndarray:
    """``table`` (tokens, classes), float32, less its mean over the classes; of the same shape and dtype."""
    weights = table.numpy()
    return weights - weights.mean(axis=1, keepdims=True)
