"""The HTML page: one file with its style, images and graph inside, so that it opens anywhere, online or not."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.params import Report, to_yaml
from pipeline.report import explanations, pseudo_labels, view
from pipeline.report.environment import HERE, environment
from pipeline.report.gather import Results
from pipeline.report.graph import HEIGHT, WIDTH, draw
from pipeline.report.grid import grid, show

SECTIONS = {
    "results": "Results",
    "classes": "Classes",
    "groups": "Groups",
    "data": "Data",
    "pseudo-labels": "Pseudo-labels",
    "training": "Training",
    "examples": "Examples",
    "why": "Why",
    "stages": "Stages",
    "params": "Params",
}
ABOUT = {
    "ingest": "reads the source, joins duplicates, draws the splits",
    "pretrain": "continues the encoder on the raw text, where asked to",
    "synonyms": "swaps words of the gold rows for synonyms",
    "back_translate": "translates the gold rows there and back",
    "pseudo_label": "a teacher labels the rows that have no label, in rounds",
    "finetune": "trains encoder and head on all rows, weighted",
    "export": "packs the model as ONNX, calibrated and checked",
    "evaluate": "measures it on the test rows, against two baselines",
    "fairness": "compares the groups of each attribute",
    "explain": "tells which words made the answers, and how far that can be trusted",
}


def render(results: Results, params: Report) -> str:
    """The page as HTML."""
    template = environment().get_template("page.html.j2")
    return template.render(
        title=params.title,
        model=results.params["registry"]["model"],
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        sections=SECTIONS.items(),
        images=results.images,
        **scores(results),
        **fairness(results),
        **data(results),
        pseudo=pseudo_labels.audit(results),
        examples=view.examples(results, params.examples),
        why=explanations.view(results.explained),
        graph=draw(results.pipeline),
        box_width=WIDTH,
        box_height=HEIGHT,
        stages=stages(results),
        params=[(name, to_yaml({name: section})) for name, section in results.params.items()],
    )


def scores(results: Results) -> dict[str, Any]:
    """What the head of the page and its sections on results and classes show."""
    found = results.metrics["evaluate"]
    return {
        "headline": view.headline(results),
        "facts": view.facts(results),
        "interval": view.level(results, "evaluate"),
        "models": view.models(results),
        "test_rows": show(found["test_rows"]),
        "gold_rows": show(results.metrics["ingest"]["rows.train"]),
        "calibration_error": found["calibration_error"],
        "confusions": view.confusions(results),
        "classes": view.classes(results),
    }


def fairness(results: Results) -> dict[str, Any]:
    """What the section on groups shows."""
    return {
        "attributes": view.attributes(results),
        "min_group_size": results.params["fairness"]["min_group_size"],
        "fairness_interval": view.level(results, "fairness"),
        "groups": view.groups(results),
    }


def data(results: Results) -> dict[str, Any]:
    """What the sections on data and training show."""
    rejected = pd.DataFrame(results.rejected.items(), columns=["reason", "rows"])
    return {
        "splits": view.splits(results),
        "origins": view.rows_by_origin(results),
        "labels": view.rows_by_class(results),
        "rejected": grid(rejected, "Rows that ingest could not use, by reason"),
        "history": grid(results.history.dropna(axis="columns", how="all"), "What training logged, step by step"),
    }


def stages(results: Results) -> list[dict[str, Any]]:
    """Each stage with what it is for and all that it measured."""
    return [
        {
            "name": stage,
            "about": ABOUT.get(stage, ""),
            "metrics": grid(pd.DataFrame(metrics.items(), columns=["metric", "value"]), f"What {stage} measured"),
        }
        for stage, metrics in results.metrics.items()
    ]
