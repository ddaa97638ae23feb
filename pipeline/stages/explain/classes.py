"""Which words drive each class: by their attributions in the sample, and by the exact weights of the words' table."""

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.attribution import Model

if TYPE_CHECKING:
    import torch

COLUMNS = ("class", "from", "word", "rows", "value")


def from_sample(attributions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` words that pushed most for each class, a row each.

    ``attributions`` has ``id, class, word, attribution`` for each word of each text, the class being the answer's.
    ``value`` is the mean over the class's texts of what the word added to the class's score, ``rows`` how many hold
    the word, whatever its case.
    """
    known = attributions.assign(word=attributions["word"].map(folded))
    texts = known.groupby("class")["id"].nunique()
    found = known.groupby(["class", "word"], as_index=False).agg(total=("attribution", "sum"), rows=("id", "nunique"))
    found["value"] = found["total"] / found["class"].map(texts)
    found = found[found["value"] > 0].sort_values(["class", "value", "word"], ascending=[True, False, True])
    return found.groupby("class").head(count).assign(**{"from": "attributions"})[list(COLUMNS)]


def folded(word: str) -> str:
    """A word without its case."""
    return unicodedata.normalize("NFC", word.casefold())


def from_table(model: Model, count: int) -> pd.DataFrame:
    """The ``count`` tokens with the largest weights for each class in the words' table; none without one.

    ``value`` is what a text of that token alone would add to the class's score: its logit less the mean of all.
    """
    words = model.inside.network.words if model.inside else None
    if words is None or model.inside is None:
        return pd.DataFrame(columns=list(COLUMNS))
    counted = np.flatnonzero(words.idf.numpy() > 0)
    weights = centred(words.table)[counted]
    parts = []
    for place, label in enumerate(model.labels):
        best = np.argsort(-weights[:, place], kind="stable")[:count]
        tokens = [model.inside.tokenizer.id_to_token(int(token)) for token in counted[best]]
        parts.append(pd.DataFrame({"class": label, "word": tokens, "value": weights[best, place].astype(float)}))
    found = pd.concat(parts, ignore_index=True)
    return found[found["value"] > 0].assign(**{"from": "table", "rows": None})[list(COLUMNS)]


def centred(table: "torch.Tensor") -> np.ndarray:
    """The table less its mean over classes, (tokens, classes)."""
    weights = table.numpy()
    return weights - weights.mean(axis=1, keepdims=True)
