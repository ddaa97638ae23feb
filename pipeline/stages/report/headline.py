"""The numbers by which two runs are compared first: headline.json, the one metrics file that DVC shows."""

from pipeline.core.stage import Metrics
from pipeline.stages.report import view
from pipeline.stages.report.gather import Results

SOURCES = {  # headline: the stage and the metric that it comes from
    "accuracy": ("evaluate", "accuracy"),
    "macro_f1": ("evaluate", "macro_f1"),
    "gain_over_probe": ("evaluate", "gain_over_probe"),
    "calibration_error": ("evaluate", "calibration_error"),
    "test_rows": ("evaluate", "test_rows"),
    "flip_rate": ("counterfactual", "highest_flip_rate"),
    "pseudo_labels": ("pseudo_label", "accepted"),
    "pseudo_label_precision": ("pseudo_label", "precision"),
    "megabytes": ("export", "megabytes"),
}


def headline_metrics(results: Results) -> Metrics:
    """Ten numbers; None where one was not measured. ``group_gap`` is the widest accuracy gap of all attributes."""
    numbers = {name: results.metrics[stage].get(metric) for name, (stage, metric) in SOURCES.items()}
    gaps = [attribute["gap"] for attribute in view.group_attributes(results) if attribute["gap"] is not None]
    return numbers | {"group_gap": max(gaps, default=None)}
