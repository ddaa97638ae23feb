"""LIME (Ribeiro et al. 2016): a linear model of how the served classifier answers when words are left out.

It is written over scikit-learn, because the package ``lime`` had its last release in 2020 and depends on scikit-image.
Distance, kernel and penalty are those of its text explainer.
"""

import numpy as np

from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, Settings
from pipeline.attribution.words import keep_words, word_spans

# Kernel width and penalty are those of the package lime, so that results can be compared.
KERNEL_WIDTH = 25.0  # the distance of a text without any of its words is 100
RIDGE_PENALTY = 1.0
MAX_VARIANTS = 4096  # scored at once: variants of similar length then share batches, and memory is bounded


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions fitted to ``settings.samples`` variants of each text; each text draws with the same seed.

    ``directions`` is (texts, classes), float32. The encoder's and the word head's parts are both covered, but cannot be
    told apart. ``unexplained`` is how far the linear model misses the score of the whole text. Unlike the other
    methods, LIME explains the model at the precision at which it is served.
    """
    attributions: list[Attribution] = []
    step = max(1, MAX_VARIANTS // settings.samples)
    for start in range(0, len(texts), step):
        part = texts[start : start + step]
        spans_by_text = [word_spans(text) for text in part]
        kept_by_text = [draw_kept_words(len(spans), settings) for spans in spans_by_text]
        variants = [
            keep_words(text, spans, kept)
            for text, spans, kept_words in zip(part, spans_by_text, kept_by_text, strict=True)
            for kept in kept_words
        ]
        logits_by_text = np.split(model.logits(variants), len(part))
        part_directions = directions[start : start + step]
        for kept_words, logits, direction in zip(kept_by_text, logits_by_text, part_directions, strict=True):
            attributions.append(fit_linear_model(kept_words, logits @ direction))
    return attributions


def draw_kept_words(words: int, settings: Settings) -> np.ndarray:
    """Which words each variant keeps, (samples, words), bool; the first keeps all, each other drops one or more."""
    rng = np.random.default_rng(settings.seed)
    kept = np.ones((settings.samples, words), dtype=bool)
    for row in kept[1:]:
        row[rng.choice(words, size=rng.integers(1, words + 1), replace=False)] = False
    return kept


def fit_linear_model(kept: np.ndarray, scores: np.ndarray) -> Attribution:
    """The attribution from a ridge regression of scores on words, variants near the whole text weighted more.

    ``kept`` (samples, words), bool, says which words a variant keeps; ``scores`` (samples,), float32, are the scores.
    """
    from sklearn.linear_model import Ridge

    distances = 100 * (1 - np.sqrt(kept.mean(axis=1)))  # the cosine distance of two rows of zeros and ones
    weights = np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
    model = Ridge(alpha=RIDGE_PENALTY).fit(kept.astype(float), scores.astype(float), sample_weight=weights)
    words, base, score = model.coef_, float(model.intercept_), float(scores[0])
    return Attribution(words, np.zeros_like(words), 0.0, base, score, score - base - float(words.sum()))
