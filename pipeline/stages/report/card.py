"""The model card: Markdown with the front matter that Hugging Face reads.

Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.core.params import to_yaml
from pipeline.core.printable import printable
from pipeline.pages.environment import environment
from pipeline.pages.grid import Grid, to_grid
from pipeline.policies.accuracy_caveats import accuracy_caveats
from pipeline.stages.report import advice, view
from pipeline.stages.report.gather import Results

CHARACTER_REFERENCE = re.compile(r"&(?=#?\w+;)")


def render(results: Results) -> str:
    """The card as Markdown."""
    templates = environment(Path(__file__).parent)
    templates.filters |= {"cell": markdown_cell, "markdown": to_markdown}
    return templates.get_template("card.md.j2").render(
        front_matter=Markup(to_yaml(front_matter(results))),
        model=results.params["registry"]["model"],
        learned_from=advice.learned_from(results),
        why_it_ships=advice.why_it_ships(results),
        params=results.params,
        data_name=data_name(results),
        encoder=view.encoder_name(results),
        metrics=results.metrics,
        labels=results.labels,
        descriptions=results.descriptions,
        headline=view.headline(results),
        caveats=accuracy_caveats(results.metrics["evaluate"]),
        rejections=view.rejections(results),
        splits=view.split_facts(results),
        origins=view.rows_by_origin(results),
        score_table=score_table(results),
        class_table=view.class_table(results),
        attributes=view.group_attributes(results),
        group_table=view.group_tables(results)["overall"],
    )


def front_matter(results: Results) -> dict[str, Any]:
    """The metadata of a Hugging Face model card, with the results; fields that the run does not know are left out."""
    encoder, metrics = results.params["encoder"], results.metrics["evaluate"]
    published = encoder["source"] == "hub" and not results.params["pretrain"]["from_scratch"]
    base = {"base_model": encoder["name"]} if published else {}
    return {
        "library_name": "onnx",
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "few-shot", "gleaner"],
        **base,
        "metrics": ["accuracy", "f1"],
        "model-index": [
            {
                "name": results.params["registry"]["model"],
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"type": "custom", "name": data_name(results), "split": "test"},
                        "metrics": [
                            {"type": "accuracy", "value": round(metrics["accuracy"], 4)},
                            {"type": "f1", "name": "Macro F1", "value": round(metrics["macro_f1"], 4)},
                        ],
                    }
                ],
            }
        ],
    }


def data_name(results: Results) -> str:
    """The name of the file, folder, database or dataset that the data came from, without its path."""
    ingest = results.params["ingest"]
    name = Path(ingest["path"]).name if ingest["source"] == "files" else f"{ingest['source']} {ingest['url']}"
    return printable(name)


def score_table(results: Results) -> Grid:
    """Accuracy and macro-F1 of the model and its baselines."""
    rows = [
        {
            "model": model.name,
            "accuracy": model.accuracy,
            f"{view.confidence_level(results, 'evaluate')} interval": model.interval(),
            "macro-F1": model.macro_f1,
        }
        for model in view.model_bars(results)
    ]
    return to_grid(pd.DataFrame(rows), "Accuracy against the baselines")


def to_markdown(table: Grid) -> Markup:
    """A Grid as a Markdown table. Markup in the names of classes and groups is escaped."""
    alignment = [" ---: " if numeric else " --- " for numeric in table.numeric]
    head, *rows = [f"| {' | '.join(map(markdown_cell, row))} |" for row in (table.head, *table.rows)]
    return Markup("\n".join([head, f"|{'|'.join(alignment)}|", *rows]))


def markdown_cell(text: str) -> Markup:
    """A text as a cell of a Markdown table: on one line, where nothing in it is markup, HTML or a control character.

    Only signs that a reader of Markdown would not show are escaped. ``<`` becomes a character reference, because not
    every reader knows ``\\<``; so does ``&`` where it would start one.
    """
    escaped = CHARACTER_REFERENCE.sub("&amp;", printable(" ".join(text.split()))).replace("<", "&lt;")
    for sign in "\\|*_`[]~":
        escaped = escaped.replace(sign, f"\\{sign}")
    return Markup(escaped)
