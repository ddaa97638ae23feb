"""What the stage leaves: words by attribution, the errors without their words, and the numbers."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.attribution import Attribution
from pipeline.attribution.words import spans
from pipeline.core.stage import Metrics
from pipeline.stages.explain.explained import Explained
from pipeline.stages.explain.faithfulness import RANDOM

HALF = 0.5
COLUMNS = ("id", "role", "method", "start", "end", "word", "attribution", "table")


def by_word(found: Explained) -> pd.DataFrame:
    """A row for each word of each explained text and method.

    Columns ``id, role`` (error or sample)``, method, start, end, word, attribution, table``: places are in characters,
    ``table`` is the words' table's exact part of the attribution.
    """
    parts = [pd.DataFrame(columns=list(COLUMNS))] if not found.of_sample else []
    roles = {"error": (found.errors, found.of_errors), "sample": (found.sample, found.of_sample)}
    for role, (rows, methods) in roles.items():
        for method, attributions in methods.items():
            for id, text, one in zip(rows["id"], rows["text"], attributions, strict=True):
                words = spans(text)
                parts.append(
                    pd.DataFrame(
                        {
                            "id": id,
                            "role": role,
                            "method": method,
                            "start": [start for start, _ in words],
                            "end": [end for _, end in words],
                            "word": [text[start:end] for start, end in words],
                            "attribution": one.words,
                            "table": one.table,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def of_classes(words: pd.DataFrame, sample: pd.DataFrame, method: str) -> pd.DataFrame:
    """The sample's words by one method, with the class that was answered: what `classes.from_sample` takes."""
    chosen = words[words["role"].eq("sample") & words["method"].eq(method)]
    return chosen.assign(**{"class": chosen["id"].map(sample.set_index("id")["predicted"])})


def errors(found: Explained, method: str | None, near: pd.DataFrame) -> pd.DataFrame:
    """A row for each error, without a word of its text: how concentrated its attribution is, and what lies nearest.

    ``words`` are its words, ``half`` how many of them make half of what moved the score by ``method``; ``starts``,
    ``ends`` and ``shares`` are the places of its words in characters and what each had of all that moved the score, for
    who has the text. ``table`` is the part of the words' table in the score of the answer rather than the true label,
    empty where the method cannot tell.
    """
    closest = near[near["rank"].eq(1)].set_index("id")
    rows = found.errors[["id", "label", "predicted", "confidence"]]
    attributions = found.of_errors[method] if method else []
    exact = next((one for name, one in found.of_errors.items() if name != "lime"), None)
    places = [spans(text) for text in found.errors["text"]]
    lists: dict[str, Any] = {
        "starts": [[start for start, _ in words] for words in places],
        "ends": [[end for _, end in words] for words in places],
        "shares": [one.shares().tolist() for one in attributions] if method else None,
    }
    return rows.assign(
        words=[len(words) for words in places],
        method=method,
        **lists,
        half=[needed(one) for one in attributions] if method else None,
        score=[one.score for one in attributions] if method else None,
        table=[float(one.table.sum()) for one in exact] if exact else None,
        **{f"nearest_{name}": rows["id"].map(closest[name]) for name in ("neighbour", "label", "origin", "similarity")},
    )


def needed(one: Attribution) -> int:
    """How many words, the strongest first, make half of all that moved the score."""
    strengths = np.sort(np.abs(one.shares()))[::-1]
    return int(np.searchsorted(strengths.cumsum(), HALF - 1e-9) + 1) if strengths.sum() > 0 else 0


def metrics(found: Explained, judged: pd.DataFrame, trusted: dict[str, bool]) -> Metrics:
    """Numbers by method: both measures, their differences from chance, and how much each leaves unexplained."""
    result: Metrics = {
        "errors": len(found.errors),
        "sample": len(found.sample),
        "methods": list(found.of_sample),
        "not_applicable": found.refused,
        "better_than_random": [method for method in trusted if trusted[method]],
    }
    for method in [*found.of_sample, RANDOM]:
        own = judged[judged["method"].eq(method) & judged["against"].isin(["", RANDOM])]
        numbers: Metrics = {}
        for line in own.to_dict("records"):
            name = line["measure"] + ("_over_random" if line["against"] else "")
            numbers |= {name: line["value"], f"{name}_low": line["low"], f"{name}_high": line["high"]}
        if method in found.of_sample:
            numbers |= unexplained([*found.of_errors[method], *found.of_sample[method]])
        result[method] = numbers
    return result


def unexplained(attributions: list[Attribution]) -> Metrics:
    """By how much words, rest and base miss the score, on average and at worst, and how far they moved it."""
    missed = np.abs([one.delta for one in attributions])
    moved = np.abs([one.score - one.base for one in attributions])
    return {
        "unexplained_mean": float(missed.mean()),
        "unexplained_max": float(missed.max()),
        "explained_mean": float(moved.mean()),
    }
