"""The HTML page: one file with its style, images and graph inside, so that it opens anywhere, online or not.

A section is an entry of SECTIONS, a template of that name in sections/, and what `render` hands to it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.core.params import Report, to_yaml
from pipeline.pages.environment import environment, style
from pipeline.pages.grid import grid, show
from pipeline.stages.report import charts, confusion, equity, explanations, pseudo_labels, view
from pipeline.stages.report.gather import Results
from pipeline.stages.report.graph import HEIGHT, WIDTH, draw
from pipeline.stages.report.summary import summary

SECTIONS = {  # in the order of the page
    "summary": "Summary",
    "results": "Results",
    "classes": "Classes",
    "groups": "Groups",
    "equity": "Fairness checks",
    "examples": "Examples",
    "why": "Why",
    "data": "Data",
    "pseudo-labels": "Pseudo-labels",
    "training": "Training",
    "stages": "Stages",
    "params": "Params",
}
ABOUT = {
    "ingest": "reads the source, joins duplicates, draws the splits",
    "pretrain": "continues the encoder on the raw text, where asked to",
    "synonyms": "swaps words of the gold rows for synonyms",
    "back_translate": "translates the gold rows there and back",
    "swaps": "exchanges identity terms in copies of training rows, where asked to",
    "pseudo_label": "a teacher labels the rows that have no label, in rounds",
    "finetune": "trains encoder and head on all rows, weighted",
    "export": "packs the model as ONNX, calibrated and checked",
    "evaluate": "measures it on the test rows, against two baselines",
    "counterfactual": "exchanges identity terms in test rows: the label should stay",
    "fairness": "compares the groups of each attribute",
    "explain": "tells which words made the answers, and how far that can be trusted",
}


def render(results: Results, params: Report, texts: Mapping[str, str] | None) -> str:
    """The page as HTML; ``texts`` are those of the rows that it shows, by id: None makes the copy to pass around.

    Every section sees ``texts``; what a text can be read from (its tokens too) stays out where it is None.
    """
    template = environment(Path(__file__).parent).get_template("page.html.j2")
    return template.render(
        title=params.title,
        texts=texts,
        model=results.params["registry"]["model"],
        style=Markup(style()),
        sections=SECTIONS.items(),
        titles=SECTIONS,
        images=results.images,
        summary=summary(results),
        **scores(results),
        **fairness(results),
        **data(results),
        pseudo=pseudo_labels.audit(results),
        equity=equity.checks(results),
        examples=view.examples(results, params.examples),
        why=explanations.view(
            results.explained,
            explanations.class_offsets(results.labels, results.metrics["export"]),
            texts,
            params.examples,
        ),
        graph=draw(results.pipeline),
        box_width=WIDTH,
        box_height=HEIGHT,
        stages=stages(results),
        params=[(name, to_yaml({name: section})) for name, section in results.params.items()],
    )


def scores(results: Results) -> dict[str, Any]:
    """What the head of the page and its sections on results and classes show."""
    found = results.metrics["evaluate"]
    chart, bins = charts.reliability(results)
    return {
        "headline": view.headline(results),
        "facts": view.facts(results),
        "interval": view.level(results, "evaluate"),
        "models": view.models(results),
        "test_rows": show(found["test_rows"]),
        "gold_rows": show(results.metrics["ingest"]["rows.train"]),
        "calibration_error": found["calibration_error"],
        "reliability": {"chart": chart, "bins": grid(bins, "Test rows, mean confidence and accuracy by confidence")},
        "labels_in_order": results.labels,
        "matrix": confusion.matrix(results),
        "confusions": confusion.listed(results),
        "classes": view.classes(results),
    }


def fairness(results: Results) -> dict[str, Any]:
    """What the section on groups shows."""
    limit = results.params["gate"]["max_group_gap"]
    return {
        "attributes": [one | {"dot": charts.gap(one, limit)} for one in view.attributes(results)],
        "gap_limit": limit,
        "group_dots": charts.groups(results),
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
