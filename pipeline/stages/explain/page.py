"""The stage's page of words, data/explain/why.html: it holds texts, so it stays with the data and is never recorded."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.attribution import Attribution
from pipeline.attribution.words import spans
from pipeline.pages.highlighting import NAMES, marks
from pipeline.pages.highlighting.page import Shown, Table, View, render
from pipeline.stages.explain.explained import Explained
from pipeline.stages.explain.faithfulness import RANDOM

READING = (
    "The surest errors of the test split. Shaded words with a + made the model give its answer rather than the true "
    "label, those with a − spoke for the true one; the darker, the more."
)
SERVED = (
    "What is explained is the answer as it is served. Class offsets (mitigation.offsets), where there are some, are in "
    "its score, but are the same for every text: no word has a part in them."
)
ABOUT = [
    READING,
    SERVED,
    "This page holds texts of your data: it stays beside them, and the registry gets no copy.",
]
CHANCE = "no better than a random ranking here: do not rely on it"


def page(
    found: Explained,
    order: list[str],
    trusted: dict[str, bool],
    judged: pd.DataFrame,
    drivers: pd.DataFrame,
    near: pd.DataFrame,
    texts: Mapping[Any, str],
) -> str:
    """The page as HTML; ``texts`` maps ids of training rows to their texts, ``order`` is that of the methods."""
    about = [*ABOUT, *(f"Not applicable: {NAMES[method]}, as {why}." for method, why in found.refused.items())]
    shown = [
        Shown(
            name=str(row["id"]),
            answer=f"{row['predicted']} ({row['confidence']:.0%}), truly {row['label']}",
            views=[view(method, row["text"], found.of_errors[method][place], trusted[method]) for method in order],
            near=[sentence(one, texts) for one in near[near["id"].eq(row["id"])].to_dict("records")],
        )
        for place, row in enumerate(found.errors.to_dict("records"))
    ]
    return render("Why these texts got their labels", about, shown, [faithful(judged), *driving(drivers)])


def view(method: str, text: str, one: Attribution, good: bool) -> View:
    """A text as a method sees it."""
    return View(NAMES[method], "" if good else CHANCE, marks.html(text, spans(text), one.shares()))


def sentence(row: Mapping[Any, Any], texts: Mapping[Any, str]) -> str:
    """A training row that lies near."""
    return f"{row['label']} · {row['origin']} · similarity {row['similarity']:.3f} · {texts[row['neighbour']]}"


def faithful(judged: pd.DataFrame) -> Table:
    """How faithful the methods are."""
    rows = [
        [
            NAMES.get(line["method"], line["method"]),
            line["measure"]
            + (f" less that of {NAMES.get(line['against'], line['against'])}" if line["against"] else ""),
            f"{line['value']:.3f}",
            f"{line['low']:.3f} to {line['high']:.3f}",
            {"yes": "better", "no": "worse"}.get(line["better"], line["better"]),
        ]
        for line in judged.to_dict("records")
        if line["method"] != RANDOM or not line["against"]
    ]
    caption = "Comprehensiveness (more is better) and sufficiency (less is better) of each method"
    return Table(caption, ["method", "measure", "value", "interval", "verdict"], rows)


def driving(drivers: pd.DataFrame) -> list[Table]:
    """The words that drive each class, one table for each way to tell."""
    captions = {
        "attributions": "Words that pushed most for each class in the sample, with the mean that they added to it",
        "table": "Tokens with the largest weights in the words' table, with what each alone would add to the score",
    }
    tables = []
    for way, caption in captions.items():
        part = drivers[drivers["from"].eq(way)]
        rows = [
            [
                str(label),
                ", ".join(f"{word} {value:+.2f}" for word, value in zip(one["word"], one["value"], strict=True)),
            ]
            for label, one in part.groupby("class", sort=True)
        ]
        if rows:
            tables.append(Table(caption, ["class", "words"], rows))
    return tables
