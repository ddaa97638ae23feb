"""Faithfulness: does the model use the words that a method ranks first? Two measures of DeYoung et al. 2020 (ERASER).

Comprehensiveness is how far the probability of the predicted label falls when the words that a method ranks first are
removed: the more, the better. Sufficiency is how far it falls when only they are kept: the less, the better. Both are
means over several shares of words (AOPC). A random ranking shows what the removal of any words does.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.attribution import Model
from pipeline.attribution.words import keep_words, word_spans
from pipeline.core.params import Explain
from pipeline.metrics import statistics

RANDOM = "random"
MEASURES = ("comprehensiveness", "sufficiency")
BETTER_SIGN = {"comprehensiveness": 1, "sufficiency": -1}  # the sign of a difference that is an improvement


@dataclass(frozen=True)
class Faithfulness:
    """Comprehensiveness and sufficiency of one method for each row, (rows,) each, float64, -1 to 1."""

    comprehensiveness: np.ndarray
    sufficiency: np.ndarray


def measure_faithfulness(
    model: Model,
    texts: list[str],
    labels: np.ndarray,
    rankings: dict[str, list[list[np.ndarray]]],
    shares: list[float],
) -> dict[str, Faithfulness]:
    """Both measures of each method; where a text has several rankings, their mean.

    ``labels`` (rows,), int, are the indices of the labels whose probability counts. ``rankings`` maps a method to the
    orders of each text's words, (words,), int, with the most important word first. ``shares`` are shares of words, 0 to
    1.
    """
    variants: dict[str, int] = {}  # text -> its index; many rankings remove the same words

    def index_of(text: str) -> int:
        return variants.setdefault(text, len(variants))

    whole = [index_of(text) for text in texts]
    parts: dict[str, list[np.ndarray]] = {}  # method -> for each row, indices (orders, shares, [removed, kept])
    for method, rankings_by_row in rankings.items():
        parts[method] = [
            np.array(
                [[list(map(index_of, split_by_ranking(text, order, share))) for share in shares] for order in orders]
            )
            for text, orders in zip(texts, rankings_by_row, strict=True)
        ]
    probabilities = model.probabilities(list(variants))
    measured = {}
    for method, indices_by_row in parts.items():
        falls = np.array(
            [
                (probabilities[whole[row], label] - probabilities[indices, label]).mean(axis=(0, 1))
                for row, (indices, label) in enumerate(zip(indices_by_row, labels, strict=True))
            ]
        )
        measured[method] = Faithfulness(falls[:, 0].astype(float), falls[:, 1].astype(float))
    return measured


def split_by_ranking(text: str, order: np.ndarray, share: float) -> tuple[str, str]:
    """The text without its first words by ``order``, and the text with only those.

    ``order`` (words,), int, has the most important word first. ``share`` (0 to 1) of it is split off, at least a word.
    """
    words = word_spans(text)
    first = np.zeros(len(words), dtype=bool)
    first[order[: max(1, round(share * len(words)))]] = True
    return keep_words(text, words, ~first), keep_words(text, words, first)


def random_rankings(texts: list[str], count: int, seed: int) -> list[list[np.ndarray]]:
    """``count`` random orders of the words of each text, (words,) each, int64."""
    rng = np.random.default_rng(seed)
    return [[rng.permutation(len(word_spans(text))) for _ in range(count)] for text in texts]


def compare_methods(measured: dict[str, Faithfulness], params: Explain) -> pd.DataFrame:
    """Each measure of each method, and its difference from the measure of each other method on the same rows.

    Columns ``method, against, measure, value, low, high, better``: ``against`` is empty for the measure itself, and
    ``better`` is yes or no where the whole interval of a difference lies on one side of 0, else unclear. Intervals are
    bootstrapped over rows.
    """
    lines = []
    for measure in MEASURES:
        values_by_method = {method: getattr(scores, measure) for method, scores in measured.items()}
        for method, values in values_by_method.items():
            line = {"method": method, "against": "", "measure": measure}
            lines.append({**line, **mean_with_interval(values, params), "better": ""})
            for other, other_values in values_by_method.items():
                if other != method and method != RANDOM:
                    difference = mean_with_interval(values - other_values, params)
                    better = verdict(measure, difference)
                    lines.append({**line, "against": other, **difference, "better": better})
    return pd.DataFrame(lines)


def verdict(measure: str, difference: dict[str, float]) -> str:
    """Whether a difference is an improvement: yes, no, or unclear where its interval holds 0."""
    low, high = sorted(BETTER_SIGN[measure] * difference[end] for end in ("low", "high"))
    return "yes" if low > 0 else "no" if high < 0 else "unclear"


def mean_with_interval(values: np.ndarray, params: Explain) -> dict[str, float]:
    """The mean of ``values`` (rows,), float64, with its percentile interval over resampled rows."""
    counts = statistics.resample(np.ones(len(values), dtype=int), params.bootstrap, np.random.default_rng(params.seed))
    low, high = statistics.percentile_interval(counts @ values / len(values), params.interval)
    return {"value": float(values.mean()), "low": low, "high": high}


def trusted_methods(comparison: pd.DataFrame, methods: list[str]) -> dict[str, bool]:
    """Whether each method is better than the random ranking: by at least one measure, and worse by none."""
    against_random = comparison[comparison["against"].eq(RANDOM)]
    verdicts = {method: set(against_random.loc[against_random["method"].eq(method), "better"]) for method in methods}
    return {method: "yes" in better and "no" not in better for method, better in verdicts.items()}
