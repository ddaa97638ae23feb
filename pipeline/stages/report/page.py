"""The HTML page: one file that contains its style, images and graph, so that it opens anywhere, online or not.

A section is an entry of SECTIONS, a template of that name in sections/, and the values that `render` passes to it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.core.params import Report, to_yaml
from pipeline.pages.environment import environment, style
from pipeline.pages.grid import format_value, to_grid
from pipeline.stages.report import charts, confusion, equity, explanations, new_classes, pseudo_labels, summary, view
from pipeline.stages.report.gather import Results
from pipeline.stages.report.graph import HEIGHT, WIDTH, lay_out

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
    "new-classes": "New classes",
    "training": "Training",
    "stages": "Stages",
    "params": "Params",
}
STAGE_PURPOSES = {
    "ingest": "reads the source, joins duplicates, draws the splits",
    "pretrain": "continues the encoder on the raw text, where asked to",
    "synonyms": "swaps words of the gold rows for synonyms",
    "back_translate": "translates the gold rows there and back",
    "swaps": "exchanges identity terms in copies of training rows, where asked to",
    "pseudo_label": "a teacher labels the rows that have no label, in rounds",
    "finetune": "trains encoder and head on all rows, weighted",
    "export": "chooses the model that ships, packs it as ONNX, calibrated and checked",
    "evaluate": "measures it on the test rows, against plain baselines",
    "counterfactual": "exchanges identity terms in test rows: the label should stay",
    "fairness": "compares the groups of each attribute",
    "explain": "tells which words made the answers, and how far that can be trusted",
}


def render(results: Results, params: Report, texts: Mapping[str, str] | None) -> str:
    """The page as HTML. ``texts`` are those of the quoted rows, by id; None makes the copy without texts.

    Every section gets ``texts``. Where it is None, no section may contain a text, its words or its tokens.
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
        summary=summary.section(results),
        **result_sections(results),
        **group_section(results),
        **data_sections(results),
        pseudo=pseudo_labels.section(results),
        new_classes=new_classes.section(results, texts),
        equity=equity.section(results),
        examples=view.example_rows(results, params.examples),
        why=explanations.section(results, texts, params.examples),
        graph=lay_out(results.pipeline),
        box_width=WIDTH,
        box_height=HEIGHT,
        stages=stage_section(results),
        params=[(name, to_yaml({name: values})) for name, values in results.params.items()],
    )


def result_sections(results: Results) -> dict[str, Any]:
    """The content of the head of the page and of the sections on results and classes."""
    metrics = results.metrics["evaluate"]
    chart, bins = charts.reliability_chart(results)
    return {
        "headline": view.headline(results),
        "facts": view.headline_facts(results),
        "interval": view.confidence_level(results, "evaluate"),
        "models": view.model_bars(results),
        "test_rows": format_value(metrics["test_rows"]),
        "gold_rows": format_value(results.metrics["ingest"]["rows.train"]),
        "calibration_error": metrics["calibration_error"],
        "reliability": {"chart": chart, "bins": to_grid(bins, "Test rows, mean confidence and accuracy by confidence")},
        "coverage": {"chart": charts.coverage_chart(results), "sentence": view.abstention_sentence(results)},
        "labels_in_order": results.labels,
        "matrix": confusion.matrix(results),
        "confusions": confusion.pair_table(results),
        "classes": view.class_table(results),
    }


def group_section(results: Results) -> dict[str, Any]:
    """The content of the section on groups."""
    limit = results.params["gate"]["max_group_gap"]
    return {
        "attributes": [
            attribute | {"dot": charts.gap_dot(attribute, limit)} for attribute in view.group_attributes(results)
        ],
        "gap_limit": limit,
        "group_dots": charts.group_dots(results),
        "min_group_size": results.params["fairness"]["min_group_size"],
        "fairness_interval": view.confidence_level(results, "fairness"),
        "groups": view.group_tables(results),
    }


def data_sections(results: Results) -> dict[str, Any]:
    """The content of the sections on data and training."""
    rejected = pd.DataFrame(results.rejected.items(), columns=["reason", "rows"])
    return {
        "splits": view.split_facts(results),
        "origins": view.rows_by_origin(results),
        "labels": view.rows_by_class(results),
        "rejected": to_grid(rejected, "Rows that ingest could not use, by reason"),
        "rejections": view.rejections(results),
        "remarks": view.remarks(results),
        "history": to_grid(results.history.dropna(axis="columns", how="all"), "What training logged, step by step"),
    }


def stage_section(results: Results) -> list[dict[str, Any]]:
    """The content of the section on stages: each stage with its purpose and all its metrics."""
    return [
        {
            "name": stage,
            "purpose": STAGE_PURPOSES.get(stage, ""),
            "metrics": to_grid(pd.DataFrame(metrics.items(), columns=["metric", "value"]), f"What {stage} measured"),
        }
        for stage, metrics in results.metrics.items()
    ]
