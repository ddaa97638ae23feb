"""The content that page and card share, worked out from the results: numbers as text, tables, examples."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.pages.facts import Fact, percentage_points
from pipeline.pages.grid import MISSING, Grid, format_value, to_grid
from pipeline.policies.gate import gap_statuses
from pipeline.policies.group_status import ENOUGH_ROWS, gap_verdict_of_group
from pipeline.stages.report.gather import Results


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: the accuracy of a model with its interval, 0 to 1; None where there is none."""

    name: str
    accuracy: float | None
    low: float | None
    high: float | None
    macro_f1: float | None
    note: str = ""

    def interval(self) -> str:
        """The interval of accuracy, such as "0.841 to 0.902"."""
        return MISSING if self.low is None else f"{format_value(self.low)} to {format_value(self.high)}"


def confidence_level(results: Results, stage: str) -> str:
    """The confidence level of a stage's intervals, such as "95%"."""
    return f"{results.params[stage]['interval'] * 100:g}%"


def metric_interval(metrics: dict[str, Any], name: str) -> str:
    """The interval of a metric, such as "0.841 to 0.902"."""
    return f"{format_value(metrics[f'{name}_low'])} to {format_value(metrics[f'{name}_high'])}"


def headline(results: Results) -> str:
    """The result in one or two sentences."""
    metrics = results.metrics["evaluate"]
    accuracy, lowest, highest = (metrics[f"accuracy{end}"] * 100 for end in ("", "_low", "_high"))
    rows, classes = format_value(metrics["test_rows"]), format_value(len(results.labels))
    result = (
        f"On {rows} test rows of {classes} classes the model is right in {accuracy:.1f}% of cases "
        f"({confidence_level(results, 'evaluate')} interval {lowest:.1f}% to {highest:.1f}%)."
    )
    if metrics["gain_over_probe"] is None:
        return result
    if results.metrics["export"].get("shipped.model") == "probe":
        return f"{result} It is one of the baselines itself: logistic regression on the untouched encoder."
    gain = metrics["gain_over_probe"] * 100
    direction = "above" if gain >= 0 else "below"
    low, high = metrics["gain_over_probe_low"], metrics["gain_over_probe_high"]
    caveat = ", a difference within chance" if low <= 0 <= high else ""
    return (
        f"{result} That is {abs(gain):.1f} points {direction} logistic regression on the untouched encoder with the "
        f"same gold labels (interval {percentage_points(low)} to {percentage_points(high)}){caveat}."
    )


def encoder_name(results: Results) -> str:
    """The name of the published encoder, or words for one that was trained from scratch on these texts."""
    if results.params["pretrain"]["from_scratch"] and results.metrics["export"].get("shipped.model") != "probe":
        return "a new one, trained on these texts alone"
    return str(results.params["encoder"]["name"].rsplit("/", 1)[-1])


def headline_facts(results: Results) -> list[Fact]:
    """The numbers at the head of the page."""
    metrics = results.metrics["evaluate"]
    return [
        Fact("Accuracy", format_value(metrics["accuracy"]), metric_interval(metrics, "accuracy")),
        Fact("Macro-F1", format_value(metrics["macro_f1"]), metric_interval(metrics, "macro_f1")),
        Fact("Calibration error", format_value(metrics["calibration_error"]), "0 is best"),
        Fact("Largest group gap", *largest_gap(results)),
    ]


def largest_gap(results: Results) -> tuple[str, str]:
    """The widest accuracy gap of any attribute as text, and a note with the attribute or why there is no gap."""
    attributes = group_attributes(results)
    measured = [attribute for attribute in attributes if attribute["gap"] is not None]
    if not measured:
        return MISSING, "too few rows to judge" if attributes else "no group attributes"
    widest = max(measured, key=lambda attribute: attribute["gap"])
    return format_value(widest["gap"]), f"in accuracy, by {widest['name']}"


def model_bars(results: Results) -> list[Bar]:
    """The pipeline and its baselines, the pipeline first."""
    metrics = results.metrics["evaluate"]
    pipeline = Bar(
        name="This pipeline",
        accuracy=metrics["accuracy"],
        low=metrics["accuracy_low"],
        high=metrics["accuracy_high"],
        macro_f1=metrics["macro_f1"],
    )
    names = {"probe": "Untouched encoder", "tfidf": "TF-IDF", "largest_class": "Always the largest class"}
    baselines = [
        Bar(
            name=name,
            accuracy=metrics[f"baseline.{key}.accuracy"],
            low=None,
            high=None,
            macro_f1=metrics[f"baseline.{key}.macro_f1"],
            note=metrics.get(f"baseline.{key}.reason", ""),
        )
        for key, name in names.items()
    ]
    return [pipeline, *baselines]


def class_table(results: Results) -> Grid:
    """The scores of each class, the weakest class first and the averages last."""
    classes, averages = results.per_class.iloc[:-2], results.per_class.iloc[-2:]
    ranked = classes.sort_values("f1-score", kind="stable")
    return to_grid(
        pd.concat([ranked, averages]).rename(columns={"support": "test rows"}),
        "Precision, recall and F1 of each class, weakest first",
        bars="f1-score",
    )


def example_rows(results: Results, count: int) -> dict[str, Grid]:
    """Up to ``count`` test rows each, by id: the errors of highest confidence, and the rows of lowest confidence."""
    rows = results.predictions.rename(columns={"reason": "no label, as it is"})
    rows = rows.dropna(axis="columns", how="all").fillna("")  # no reason: there is a label
    wrong = rows[rows["label"] != rows["predicted"]].sort_values(["confidence", "id"], ascending=[False, True])
    unsure = rows.sort_values(["confidence", "id"])
    return {
        "wrong": to_grid(wrong.head(count), "Errors of highest confidence", code=True),
        "unsure": to_grid(unsure.head(count), "Rows of lowest confidence", code=True),
    }


def rows_by_class(results: Results) -> Grid:
    """Training rows of each label by origin, and its test rows."""
    counts = pd.crosstab(results.training["label"], results.training["origin"]).reindex(results.labels, fill_value=0)
    counts.columns.name = None
    counts["test"] = results.test["label"].value_counts().reindex(results.labels, fill_value=0)
    counts.loc["all"] = counts.sum()
    if results.descriptions:
        counts.insert(0, "description", [results.descriptions.get(label, "") for label in counts.index])
    named = counts.rename_axis("label").reset_index()
    return to_grid(named, "Training rows of each label by origin, and its test rows", total=True)


def abstention_sentence(results: Results) -> str:
    """What the model does with texts that are unlike every class; empty for a run of before there was abstention."""
    export, measured = results.metrics["export"], results.metrics["evaluate"]
    if "abstention.method" not in export:
        return ""
    if export["abstention.method"] == "none":
        return f"Every text gets a label ({export['abstention.reason']})."
    shares = {key: format_value(measured[f"abstention.{key}"] or 0.0) for key in ("coverage", "accuracy")}
    note = f" {export['abstention.note']}." if "abstention.note" in export else ""
    if (left_out := export.get("abstention.out_of_scope_answered")) is not None:
        rows = format_value(export["abstention.out_of_scope_rows"])
        note = f" Where a class is left out, {format_value(left_out)} of its rows get a label, by {rows} rows.{note}"
    return (
        f"The model gives no label to a text that is unlike every class. Of the test rows, which are of known classes, "
        f"{shares['coverage']} get one, where at least {format_value(export['abstention.promised_coverage'])} were "
        f"promised, and of these {shares['accuracy']} are right. Of the {export['abstention.pool_rows']} texts of the "
        f"pool that it was fitted on, {export['abstention.pool_refused']} would get none.{note}"
    )


def split_facts(results: Results) -> list[Fact]:
    """The number of rows in each split."""
    metrics = results.metrics["ingest"]
    notes = {
        "train": "with a gold label",
        "unlabelled": "in the pool",
        "validation": "to stop and calibrate by",
        "test": "to measure by",
    }
    return [Fact(name.capitalize(), format_value(metrics[f"rows.{name}"]), note) for name, note in notes.items()]


def rejections(results: Results) -> list[str]:
    """A line for each file of which ingest set rows aside, such as "train.csv: 80 of 160 rows set aside: ..."."""
    return list(
        results.metrics["ingest"].get("rejected_by_file", [])
    )  # runs before these were written do not have them


def remarks(results: Results) -> list[str]:
    """What ingest says on labels and group values: spellings that it joined, and doubts."""
    return list(results.metrics["ingest"].get("remarks", []))


def rows_by_origin(results: Results) -> Grid:
    """The number of training rows of each origin, and their total weight."""
    totals = results.training.groupby("origin", as_index=False).agg(rows=("id", "size"), weight=("weight", "sum"))
    return to_grid(totals.sort_values(["rows", "origin"], ascending=[False, True]), "Training rows by origin")


def group_attributes(results: Results) -> list[dict[str, Any]]:
    """Each group attribute: name, status, the gate's verdict, gap with interval, and the groups too small to judge."""
    metrics = results.metrics["fairness"]
    gates = gap_statuses(results.params["gate"]["max_group_gap"], metrics)
    names = [key.removesuffix(".status") for key in metrics if key.endswith(".status")]
    return [
        {
            "name": name,
            "status": metrics[f"{name}.status"],
            "enough_rows": ENOUGH_ROWS[metrics[f"{name}.status"]],
            "gate": gates[name],
            "gap": metrics[f"{name}.accuracy_gap"],
            "low": metrics.get(f"{name}.accuracy_gap_low"),  # there is no interval without a gap
            "high": metrics.get(f"{name}.accuracy_gap_high"),
            "insufficient": metrics[f"{name}.insufficient_groups"],
        }
        for name in names
    ]


def group_tables(results: Results) -> dict[str, Grid]:
    """Accuracy of each group, and the rates of each class in each group."""
    rows = results.groups
    one_against_rest = rows["class"].notna()
    gates = {attribute["name"]: attribute["gate"] for attribute in group_attributes(results)}
    overall = rows.loc[~one_against_rest, ["attribute", "group", "rows", "accuracy"]]
    statuses = rows.loc[~one_against_rest, "status"]
    overall["enough rows"] = statuses.map(ENOUGH_ROWS)
    overall["gap, by the gate"] = [
        gap_verdict_of_group(status, gates[name]) for status, name in zip(statuses, overall["attribute"], strict=True)
    ]
    rates = rows.loc[one_against_rest].drop(columns="accuracy").sort_values(["attribute", "class"], kind="stable")
    rates["enough rows"] = rates.pop("status").map(ENOUGH_ROWS)
    return {
        "overall": to_grid(overall, "Accuracy of each group"),
        "rates": to_grid(rates, "Rates of each class against the rest, in each group"),
    }
