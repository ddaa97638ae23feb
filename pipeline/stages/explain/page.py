"""The page data/explain/why.html. It holds texts, so it stays with the data and is never recorded in the registry."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.attribution import Attribution
from pipeline.attribution.words import word_spans
from pipeline.pages.highlighting import METHOD_NAMES, segments
from pipeline.pages.highlighting.page import ExplainedText, MethodView, Table, render
from pipeline.stages.explain.explanations import Explanations
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


def render_page(
    explanations: Explanations,
    order: list[str],
    trusted: dict[str, bool],
    comparison: pd.DataFrame,
    drivers: pd.DataFrame,
    nearest: pd.DataFrame,
    texts: Mapping[Any, str],
) -> str:
    """The page as HTML.

    ``order`` are the methods to show, the best first; ``trusted`` says which of them are better than chance; ``texts``
    maps ids of training rows to their texts.
    """
    reasons = explanations.not_applicable.items()
    about = [*ABOUT, *(f"Not applicable: {METHOD_NAMES[method]}, as {reason}." for method, reason in reasons)]
    shown = [
        ExplainedText(
            name=str(row["id"]),
            answer=describe_answer(row),
            views=[
                method_view(method, row["text"], explanations.error_attributions[method][position], trusted[method])
                for method in order
            ],
            neighbours=[
                neighbour_line(line, texts) for line in nearest[nearest["id"].eq(row["id"])].to_dict("records")
            ],
        )
        for position, row in enumerate(explanations.errors.to_dict("records"))
    ]
    tables = [faithfulness_table(comparison), *driver_tables(drivers)]
    return render("Why these texts got their labels", about, shown, tables)


def describe_answer(row: Mapping[Any, Any]) -> str:
    """What the model answered, and what was right."""
    probable = f"{row['predicted']} ({row['confidence']:.0%})"
    answer = probable if pd.isna(row["reason"]) else f"no label, {row['reason']}; most probable {probable}"
    return f"{answer}, truly {row['label']}"


def method_view(method: str, text: str, attribution: Attribution, trusted: bool) -> MethodView:
    """A text with its words marked by one method."""
    marked = segments.to_html(text, word_spans(text), attribution.shares())
    return MethodView(METHOD_NAMES[method], "" if trusted else CHANCE, marked)


def neighbour_line(row: Mapping[Any, Any], texts: Mapping[Any, str]) -> str:
    """One of the nearest training rows: label, origin, similarity and text."""
    return f"{row['label']} · {row['origin']} · similarity {row['similarity']:.3f} · {texts[row['neighbour']]}"


def faithfulness_table(comparison: pd.DataFrame) -> Table:
    """How faithful the methods are."""
    rows = [
        [
            METHOD_NAMES.get(line["method"], line["method"]),
            line["measure"]
            + (f" less that of {METHOD_NAMES.get(line['against'], line['against'])}" if line["against"] else ""),
            f"{line['value']:.3f}",
            f"{line['low']:.3f} to {line['high']:.3f}",
            {"yes": "better", "no": "worse"}.get(line["better"], line["better"]),
        ]
        for line in comparison.to_dict("records")
        if line["method"] != RANDOM or not line["against"]
    ]
    caption = "Comprehensiveness (more is better) and sufficiency (less is better) of each method"
    return Table(caption, ["method", "measure", "value", "interval", "verdict"], rows)


def driver_tables(drivers: pd.DataFrame) -> list[Table]:
    """The words that drive each class: a table by attributions, and one by the weights of the word head."""
    captions = {
        "attributions": "Words that pushed most for each class in the sample, with the mean that they added to it",
        "table": "Tokens with the largest weights in the words' table, with what each alone would add to the score",
    }
    tables = []
    for source, caption in captions.items():
        part = drivers[drivers["from"].eq(source)]
        rows = [
            [
                str(label),
                ", ".join(f"{word} {value:+.2f}" for word, value in zip(words["word"], words["value"], strict=True)),
            ]
            for label, words in part.groupby("class", sort=True)
        ]
        if rows:
            tables.append(Table(caption, ["class", "words"], rows))
    return tables
