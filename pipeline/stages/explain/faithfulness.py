"""Whether a method's words are those that the model used: comprehensiveness and sufficiency (DeYoung et al. 2020).

Comprehensiveness is how far the answer's probability falls when the words that a method ranks first are removed: the
more, the better. Sufficiency is how far it falls when only they are kept: the less, the better. Both are means over
several shares of words (AOPC). A random ranking shows what removing any words does.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.attribution import Model
from pipeline.attribution.words import spans, without
from pipeline.core.params import Explain
from pipeline.metrics import statistics

RANDOM = "random"
MEASURES = ("comprehensiveness", "sufficiency")
BETTER = {"comprehensiveness": 1, "sufficiency": -1}  # which way is better


@dataclass(frozen=True)
class Judged:
    """Comprehensiveness and sufficiency of one ranking for each row, (rows,) each."""

    comprehensiveness: np.ndarray
    sufficiency: np.ndarray


def judge(
    model: Model,
    texts: list[str],
    answers: np.ndarray,
    rankings: dict[str, list[list[np.ndarray]]],
    shares: list[float],
) -> dict[str, Judged]:
    """Both measures of each method; of several rankings of a text the mean.

    ``answers`` (rows,) are the labels whose probability counts; ``rankings[method][row]`` holds orders of the text's
    words, (words,) each, the most important first.
    """
    variants: dict[str, int] = {}  # many rankings remove the same words

    def place(text: str) -> int:
        return variants.setdefault(text, len(variants))

    whole = [place(text) for text in texts]
    parts: dict[str, list[np.ndarray]] = {}  # method -> for each row, places (orders, shares, [removed, kept])
    for method, rows in rankings.items():
        parts[method] = [
            np.array([[list(map(place, cut(text, order, share))) for share in shares] for order in orders])
            for text, orders in zip(texts, rows, strict=True)
        ]
    found = model.probabilities(list(variants))
    judged = {}
    for method, each in parts.items():
        falls = np.array(
            [
                (found[whole[row], answer] - found[places, answer]).mean(axis=(0, 1))
                for row, (places, answer) in enumerate(zip(each, answers, strict=True))
            ]
        )
        judged[method] = Judged(falls[:, 0].astype(float), falls[:, 1].astype(float))
    return judged


def cut(text: str, order: np.ndarray, share: float) -> tuple[str, str]:
    """The text without the first ``share`` of ``order``, at least one word, and with only those."""
    words = spans(text)
    chosen = np.zeros(len(words), dtype=bool)
    chosen[order[: max(1, round(share * len(words)))]] = True
    return without(text, words, ~chosen), without(text, words, chosen)


def random_rankings(texts: list[str], count: int, seed: int) -> list[list[np.ndarray]]:
    """``count`` drawn orders of the words of each text."""
    rng = np.random.default_rng(seed)
    return [[rng.permutation(len(spans(text))) for _ in range(count)] for text in texts]


def compare(judged: dict[str, Judged], params: Explain) -> pd.DataFrame:
    """Each measure of each method, and its difference from that of each other one on the same rows.

    Columns ``method, against, measure, value, low, high, better``: ``against`` is empty for the measure itself, and
    ``better`` is yes or no where the whole interval of a difference lies on one side of 0, else unclear. Intervals are
    bootstrapped over rows.
    """
    rows = []
    for measure in MEASURES:
        values = {method: getattr(one, measure) for method, one in judged.items()}
        for method, own in values.items():
            rows.append({"method": method, "against": "", "measure": measure, **interval(own, params), "better": ""})
            for other, theirs in values.items():
                if other != method and method != RANDOM:
                    found = interval(own - theirs, params)
                    ends = sorted(BETTER[measure] * found[end] for end in ("low", "high"))
                    better = "yes" if ends[0] > 0 else "no" if ends[1] < 0 else "unclear"
                    rows.append({"method": method, "against": other, "measure": measure, **found, "better": better})
    return pd.DataFrame(rows)


def interval(values: np.ndarray, params: Explain) -> dict[str, float]:
    """Mean of (rows,) with its percentile interval over resampled rows."""
    counts = statistics.resample(np.ones(len(values), dtype=int), params.bootstrap, np.random.default_rng(params.seed))
    low, high = statistics.percentiles(counts @ values / len(values), params.interval)
    return {"value": float(values.mean()), "low": low, "high": high}


def trusted_of(table: pd.DataFrame, methods: list[str]) -> dict[str, bool]:
    """Whether each method is better than the random ranking, by at least one measure and by none worse."""
    against = table[table["against"].eq(RANDOM)]
    verdicts = {method: set(against.loc[against["method"].eq(method), "better"]) for method in methods}
    return {method: "yes" in found and "no" not in found for method, found in verdicts.items()}
