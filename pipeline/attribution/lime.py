"""LIME (Ribeiro et al. 2016): a linear model of how the served classifier answers when words are left out.

Written over scikit-learn: the package ``lime`` was last released in 2020 and brings scikit-image and its formats along.
Distance, kernel and penalty are those of its text explainer.
"""

import numpy as np

from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, Settings
from pipeline.attribution.words import spans, without

WIDTH = 25.0  # of the kernel, where the distance of a text without words is 100
PENALTY = 1.0
VARIANTS = 4096  # texts scored at a time: texts of like length then share batches, and memory is bounded


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions fitted to ``settings.samples`` variants of each text, drawn with the seed for each text anew.

    Both views of the model are in them, and cannot be told apart. ``delta`` is how far the linear model misses the
    score of the whole text. Unlike the network's methods it sees the served precision.
    """
    found: list[Attribution] = []
    step = max(1, VARIANTS // settings.samples)
    for start in range(0, len(texts), step):
        part = texts[start : start + step]
        words = [spans(text) for text in part]
        kept = [drawn(len(one), settings) for one in words]
        variants = [without(text, one, row) for text, one, rows in zip(part, words, kept, strict=True) for row in rows]
        logits = np.split(model.logits(variants), len(part))
        for rows, scores, direction in zip(kept, logits, directions[start : start + step], strict=True):
            found.append(fit(rows, scores @ direction))
    return found


def drawn(words: int, settings: Settings) -> np.ndarray:
    """Which words each variant keeps, (samples, words); the first keeps all, each other leaves out one or more."""
    rng = np.random.default_rng(settings.seed)
    kept = np.ones((settings.samples, words), dtype=bool)
    for row in kept[1:]:
        row[rng.choice(words, size=rng.integers(1, words + 1), replace=False)] = False
    return kept


def fit(kept: np.ndarray, scores: np.ndarray) -> Attribution:
    """The coefficients of a ridge regression, variants weighted by how near they are to the whole text."""
    from sklearn.linear_model import Ridge

    distance = 100 * (1 - np.sqrt(kept.mean(axis=1)))  # the cosine distance of two rows of zeros and ones
    weight = np.sqrt(np.exp(-(distance**2) / WIDTH**2))
    model = Ridge(alpha=PENALTY).fit(kept.astype(float), scores.astype(float), sample_weight=weight)
    words, base, score = model.coef_, float(model.intercept_), float(scores[0])
    return Attribution(words, np.zeros_like(words), 0.0, base, score, score - base - float(words.sum()))
