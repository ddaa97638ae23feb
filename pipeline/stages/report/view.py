"""What the page and the card say, worked out from the results: numbers as text, tables, examples."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.pages.facts import Fact, points
from pipeline.pages.grid import MISSING, Grid, grid, show
from pipeline.stages.report.gather import Results


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: accuracy of a model or group, all values 0 to 1; None where there is none."""

    name: str
    accuracy: float | None
    low: float | None
    high: float | None
    macro_f1: float | None
    note: str = ""

    def interval(self) -> str:
        """The interval, as in "0.841 to 0.902"."""
        return MISSING if self.low is None else f"{show(self.low)} to {show(self.high)}"


def level(results: Results, stage: str) -> str:
    """The confidence level of a stage's intervals, as in "95%"."""
    return f"{results.params[stage]['interval'] * 100:g}%"


def span(metrics: dict[str, Any], name: str) -> str:
    """The interval of a metric, as in "0.841 to 0.902"."""
    return f"{show(metrics[f'{name}_low'])} to {show(metrics[f'{name}_high'])}"


def headline(results: Results) -> str:
    """The result in one or two sentences."""
    found = results.metrics["evaluate"]
    said = (
        f"On {show(found['test_rows'])} test rows of {show(len(results.labels))} classes the model is right in "
        f"{found['accuracy'] * 100:.1f}% of cases ({level(results, 'evaluate')} interval "
        f"{found['accuracy_low'] * 100:.1f}% to {found['accuracy_high'] * 100:.1f}%)."
    )
    if found["gain_over_probe"] is None:
        return said
    gained = found["gain_over_probe"] * 100
    way = "above" if gained >= 0 else "below"
    low, high = found["gain_over_probe_low"], found["gain_over_probe_high"]
    doubt = ", a difference within chance" if low <= 0 <= high else ""
    return (
        f"{said} That is {abs(gained):.1f} points {way} logistic regression on the untouched encoder with the same "
        f"gold labels (interval {points(low)} to {points(high)}){doubt}."
    )


def encoder(results: Results) -> str:
    """What the model's encoder is: the published one, by its name, or one that knows nothing but these texts."""
    if results.params["pretrain"]["from_scratch"]:
        return "a new one, trained on these texts alone"
    return str(results.params["encoder"]["name"].rsplit("/", 1)[-1])


def facts(results: Results) -> list[Fact]:
    """The numbers at the head of the page."""
    found = results.metrics["evaluate"]
    return [
        Fact("Accuracy", show(found["accuracy"]), span(found, "accuracy")),
        Fact("Macro-F1", show(found["macro_f1"]), span(found, "macro_f1")),
        Fact("Calibration error", show(found["calibration_error"]), "0 is best"),
        Fact("Largest group gap", *largest_gap(results)),
    ]


def largest_gap(results: Results) -> tuple[str, str]:
    """The widest accuracy gap of any attribute, and whose it is."""
    found = attributes(results)
    measured = [one for one in found if one["gap"] is not None]
    if not measured:
        return MISSING, "too few rows to judge" if found else "no group attributes"
    widest = max(measured, key=lambda one: one["gap"])
    return show(widest["gap"]), f"in accuracy, by {widest['name']}"


def models(results: Results) -> list[Bar]:
    """The pipeline and its baselines, the pipeline first."""
    found = results.metrics["evaluate"]
    ours = Bar("This pipeline", found["accuracy"], found["accuracy_low"], found["accuracy_high"], found["macro_f1"])
    names = {"probe": "Untouched encoder", "tfidf": "TF-IDF"}
    others = [
        Bar(
            name,
            found[f"baseline.{key}.accuracy"],
            None,
            None,
            found[f"baseline.{key}.macro_f1"],
            found.get(f"baseline.{key}.reason", ""),
        )
        for key, name in names.items()
    ]
    return [ours, *others]


def classes(results: Results) -> Grid:
    """The per-class table, the weakest class first and the averages last."""
    rows = results.per_class
    ranked = rows.iloc[:-2].sort_values("f1-score", kind="stable")
    return grid(
        pd.concat([ranked, rows.iloc[-2:]]).rename(columns={"support": "test rows"}),
        "Precision, recall and F1 of each class, weakest first",
        bars="f1-score",
    )


def examples(results: Results, count: int) -> dict[str, Grid]:
    """Test rows worth a look, by id: errors that the model was sure of, and rows that it was least sure of."""
    rows = results.predictions
    wrong = rows[rows["label"] != rows["predicted"]].sort_values(["confidence", "id"], ascending=[False, True])
    unsure = rows.sort_values(["confidence", "id"])
    return {
        "wrong": grid(wrong.head(count), "Errors of highest confidence", code=True),
        "unsure": grid(unsure.head(count), "Rows of lowest confidence", code=True),
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
    return grid(named, "Training rows of each label by origin, and its test rows", total=True)


def splits(results: Results) -> list[Fact]:
    """How many rows each split has."""
    found = results.metrics["ingest"]
    notes = {
        "train": "with a gold label",
        "unlabelled": "in the pool",
        "validation": "to stop and calibrate by",
        "test": "to measure by",
    }
    return [Fact(name.capitalize(), show(found[f"rows.{name}"]), note) for name, note in notes.items()]


def rows_by_origin(results: Results) -> Grid:
    """How many training rows of each origin there are and how much they weigh together."""
    totals = results.training.groupby("origin", as_index=False).agg(rows=("id", "size"), weight=("weight", "sum"))
    return grid(totals.sort_values(["rows", "origin"], ascending=[False, True]), "Training rows by origin")


def attributes(results: Results) -> list[dict[str, Any]]:
    """Each group attribute: its name, status, accuracy gap with interval, and the groups too small to judge."""
    found = results.metrics["fairness"]
    names = [key.removesuffix(".status") for key in found if key.endswith(".status")]
    return [
        {
            "name": name,
            "status": found[f"{name}.status"],
            "gap": found[f"{name}.accuracy_gap"],
            "low": found.get(f"{name}.accuracy_gap_low"),  # there is no interval without a gap
            "high": found.get(f"{name}.accuracy_gap_high"),
            "insufficient": found[f"{name}.insufficient_groups"],
        }
        for name in names
    ]


def groups(results: Results) -> dict[str, Grid]:
    """Accuracy of each group, and the rates of each class in each group."""
    rows = results.groups
    one_against_rest = rows["class"].notna()
    overall = rows.loc[~one_against_rest, ["attribute", "group", "rows", "accuracy", "status"]]
    rates = rows.loc[one_against_rest].drop(columns="accuracy").sort_values(["attribute", "class"], kind="stable")
    return {
        "overall": grid(overall, "Accuracy of each group"),
        "rates": grid(rates, "Rates of each class against the rest, in each group"),
    }
