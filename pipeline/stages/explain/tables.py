"""The tables and metrics of the stage: words with their attributions, errors without their words, numbers by method."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.attribution import Attribution
from pipeline.attribution.words import word_spans
from pipeline.core.stage import Metrics
from pipeline.stages.explain.explanations import Explanations
from pipeline.stages.explain.faithfulness import RANDOM

HALF = 0.5
COLUMNS = ("id", "role", "method", "start", "end", "word", "attribution", "table")


def word_table(explanations: Explanations) -> pd.DataFrame:
    """A row for each word of each explained text and method.

    Columns: ``id, role`` (error or sample)``, method, start, end`` (in characters)``, word, attribution`` and
    ``table``, the word head's exact part of the attribution.
    """
    parts = [pd.DataFrame(columns=list(COLUMNS))] if not explanations.sample_attributions else []
    roles = {
        "error": (explanations.errors, explanations.error_attributions),
        "sample": (explanations.sample, explanations.sample_attributions),
    }
    for role, (rows, by_method) in roles.items():
        for method, attributions in by_method.items():
            for id, text, attribution in zip(rows["id"], rows["text"], attributions, strict=True):
                spans = word_spans(text)
                columns: dict[str, Any] = {
                    "id": id,
                    "role": role,
                    "method": method,
                    "start": [start for start, _ in spans],
                    "end": [end for _, end in spans],
                    "word": [text[start:end] for start, end in spans],
                    "attribution": attribution.words,
                    "table": attribution.table,
                }
                parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def sample_words_by_class(words: pd.DataFrame, sample: pd.DataFrame, method: str) -> pd.DataFrame:
    """The sample's words by one method, with the predicted class: the input of `classes.drivers_from_sample`."""
    sample_words = words[words["role"].eq("sample") & words["method"].eq(method)]
    return sample_words.assign(**{"class": sample_words["id"].map(sample.set_index("id")["predicted"])})


def error_table(explanations: Explanations, method: str | None, nearest: pd.DataFrame) -> pd.DataFrame:
    """A row for each error, without any words of its text: how concentrated its attribution is, and what is nearest.

    ``words`` counts its words; ``half`` counts those that make half of what moved the score by ``method``. ``starts``,
    ``ends`` (in characters) and ``shares`` (-1 to 1) mark the words for a reader who has the text. ``table`` is the
    word head's part in the score of the predicted label less the true one; it is empty where no method can tell it
    apart.
    """
    closest = nearest[nearest["rank"].eq(1)].set_index("id")
    rows = explanations.errors[["id", "label", "predicted", "confidence"]]
    by_method = explanations.error_attributions
    attributions = by_method[method] if method else []
    with_table = next((by_method[name] for name in by_method if name != "lime"), None)
    spans_by_text = [word_spans(text) for text in explanations.errors["text"]]
    lists: dict[str, Any] = {
        "starts": [[start for start, _ in spans] for spans in spans_by_text],
        "ends": [[end for _, end in spans] for spans in spans_by_text],
        "shares": [attribution.shares().tolist() for attribution in attributions] if method else None,
    }
    return rows.assign(
        words=[len(spans) for spans in spans_by_text],
        method=method,
        **lists,
        half=[words_for_half(attribution) for attribution in attributions] if method else None,
        score=[attribution.score for attribution in attributions] if method else None,
        table=[float(attribution.table.sum()) for attribution in with_table] if with_table else None,
        **{f"nearest_{name}": rows["id"].map(closest[name]) for name in ("neighbour", "label", "origin", "similarity")},
    )


def words_for_half(attribution: Attribution) -> int:
    """How many words, the strongest first, make half of all that moved the score."""
    strengths = np.sort(np.abs(attribution.shares()))[::-1]
    return int(np.searchsorted(strengths.cumsum(), HALF - 1e-9) + 1) if strengths.sum() > 0 else 0


def summarise(explanations: Explanations, comparison: pd.DataFrame, trusted: dict[str, bool]) -> Metrics:
    """The metrics: for each method both measures, their differences from chance, and what it leaves unexplained."""
    metrics: Metrics = {
        "errors": len(explanations.errors),
        "sample": len(explanations.sample),
        "methods": list(explanations.sample_attributions),
        "not_applicable": explanations.not_applicable,
        "better_than_random": [method for method in trusted if trusted[method]],
    }
    for method in [*explanations.sample_attributions, RANDOM]:
        lines = comparison[comparison["method"].eq(method) & comparison["against"].isin(["", RANDOM])]
        numbers: Metrics = {}
        for line in lines.to_dict("records"):
            name = line["measure"] + ("_over_random" if line["against"] else "")
            numbers |= {name: line["value"], f"{name}_low": line["low"], f"{name}_high": line["high"]}
        if method in explanations.sample_attributions:
            both = [*explanations.error_attributions[method], *explanations.sample_attributions[method]]
            numbers |= unexplained_metrics(both)
        metrics[method] = numbers
    return metrics


def unexplained_metrics(attributions: list[Attribution]) -> Metrics:
    """How much of the score a method leaves unexplained, on average and at most, and how far the words moved it."""
    unexplained = np.abs([attribution.unexplained for attribution in attributions])
    moved = np.abs([attribution.score - attribution.base for attribution in attributions])
    return {
        "unexplained_mean": float(unexplained.mean()),
        "unexplained_max": float(unexplained.max()),
        "explained_mean": float(moved.mean()),
    }
