"""The model card: Markdown with the front matter that Hugging Face reads, after Mitchell et al. 2019."""

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from pipeline.core.params import to_yaml
from pipeline.pages.environment import environment
from pipeline.pages.grid import Grid, grid
from pipeline.stages.report import view
from pipeline.stages.report.gather import Results


def render(results: Results) -> str:
    """The card as Markdown."""
    templates = environment(Path(__file__).parent)
    templates.filters |= {"cell": cell, "markdown": markdown}
    return templates.get_template("card.md.j2").render(
        front_matter=Markup(to_yaml(front_matter(results))),
        model=results.params["registry"]["model"],
        params=results.params,
        source=source(results),
        encoder=view.encoder(results),
        metrics=results.metrics,
        labels=results.labels,
        descriptions=results.descriptions,
        headline=view.headline(results),
        splits=view.splits(results),
        origins=view.rows_by_origin(results),
        scores=scores(results),
        classes=view.classes(results),
        attributes=view.attributes(results),
        groups=view.groups(results)["overall"],
        interval=view.level(results, "evaluate"),
    )


def front_matter(results: Results) -> dict[str, Any]:
    """Metadata in the shape of a Hugging Face model card, results included; only what the run knows."""
    encoder, found = results.params["encoder"], results.metrics["evaluate"]
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
                        "dataset": {"type": "custom", "name": source(results), "split": "test"},
                        "metrics": [
                            {"type": "accuracy", "value": round(found["accuracy"], 4)},
                            {"type": "f1", "name": "Macro F1", "value": round(found["macro_f1"], 4)},
                        ],
                    }
                ],
            }
        ],
    }


def source(results: Results) -> str:
    """What the data is called: the name of its file, folder or dataset, without the path that leads there."""
    ingest = results.params["ingest"]
    return Path(ingest["path"]).name if ingest["source"] == "files" else f"{ingest['source']} {ingest['url']}"


def scores(results: Results) -> Grid:
    """Accuracy and macro-F1 of the model and its baselines."""
    rows = [
        {
            "model": model.name,
            "accuracy": model.accuracy,
            f"{view.level(results, 'evaluate')} interval": model.interval(),
            "macro-F1": model.macro_f1,
        }
        for model in view.models(results)
    ]
    return grid(pd.DataFrame(rows), "Accuracy against the baselines")


def markdown(table: Grid) -> Markup:
    """A Grid as a Markdown table; names of classes and groups are text, whatever characters they hold."""
    rule = [" ---: " if numeric else " --- " for numeric in table.numeric]
    lines = [table.head, *table.rows]
    text = [f"| {' | '.join(map(cell, line))} |" for line in lines]
    return Markup("\n".join([text[0], f"|{'|'.join(rule)}|", *text[1:]]))


def cell(text: str) -> Markup:
    """Text as a cell of a Markdown table: no HTML, no markup, one line."""
    plain = str(escape(" ".join(text.split())))
    for sign in "\\|*_`[]":
        plain = plain.replace(sign, f"\\{sign}")
    return Markup(plain)
