"""The section on fairness checks beyond group gaps: swapped terms, ranking by subgroup, augmentation, mitigation."""

from typing import Any

import pandas as pd

from pipeline.pages.grid import MISSING, Grid, format_value, to_grid
from pipeline.policies.group_status import ENOUGH_ROWS
from pipeline.stages.report.gather import Results

LISTED_ROWS = 12  # pairs and terms that are listed; the files in data/ have all
FLIP_COLUMNS = {"flip_rate": "flip rate", "interval": "interval", "mean_change": "mean change of score"}


def section(results: Results) -> dict[str, Any]:
    """The content of the section."""
    metrics = results.metrics["counterfactual"]
    pairs, terms = results.swapped_pairs, results.swapped_terms
    return {
        "rows": format_value(metrics["rows_with_a_term"]),
        "test_rows": format_value(metrics["test_rows"]),
        "left_out": metrics["swaps_left_out"],
        "min_rows": metrics["min_rows"],
        "limit": results.params["gate"]["max_flip_rate"],
        "axes": flips_by_axis(metrics),
        "pairs": flip_table(
            pairs, ["axis", "from", "to"], ["gaining_label", "gain"], "Pairs of groups, most flips first"
        ),
        "terms": flip_table(terms, ["axis", "from", "term"], ["signed_change"], "Terms, most flips first"),
        "auc": subgroup_auc(results),
        "augmentations": augmentations(results),
        "mitigations": mitigations(results),
        "stereotypes": stereotypes(results.metrics["pretrain"]),
    }


def flips_by_axis(metrics: dict[str, Any]) -> Grid:
    """The flip rate of each axis of identity terms; ``metrics`` are those of counterfactual."""
    rows = [
        {
            "axis": axis,
            "rows": metrics[f"{axis}.rows"],
            "flip rate": metrics[f"{axis}.flip_rate"],
            "interval": interval_text(metrics[f"{axis}.flip_rate_low"], metrics[f"{axis}.flip_rate_high"]),
            "mean change of score": metrics[f"{axis}.mean_change"],
            "enough rows": ENOUGH_ROWS[metrics[f"{axis}.status"]],
        }
        for axis in metrics["axes"]
    ]
    columns = ["axis", "rows", *FLIP_COLUMNS.values(), "enough rows"]
    return to_grid(pd.DataFrame(rows, columns=columns), "How often the label flips when a term is swapped, by axis")


def flip_table(rows: pd.DataFrame, first_columns: list[str], last_columns: list[str], caption: str) -> Grid:
    """The pairs or terms that flip most often; those with too few rows come last."""
    ranked = rows.sort_values(["status", "flip_rate", "rows"], ascending=[False, False, False], kind="stable")
    ranked = ranked.assign(interval=interval_texts(ranked, "flip_rate")).head(LISTED_ROWS)
    columns = [*first_columns, "rows", *FLIP_COLUMNS, *last_columns, "status"]
    return to_grid(status_in_words(ranked[columns]).rename(columns=FLIP_COLUMNS), caption)


def status_in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their status under a name that says what it is about."""
    return rows.assign(status=rows["status"].map(ENOUGH_ROWS)).rename(columns={"status": "enough rows"})


def interval_texts(rows: pd.DataFrame, name: str) -> list[str]:
    """The interval of a measured column in each row, as text."""
    return [interval_text(low, high) for low, high in zip(rows[f"{name}_low"], rows[f"{name}_high"], strict=True)]


def interval_text(low: float | None, high: float | None) -> str:
    """An interval as text, such as "0.051 to 0.257"."""
    return MISSING if low is None or pd.isna(low) else f"{format_value(low)} to {format_value(high)}"


def subgroup_auc(results: Results) -> dict[str, Any]:
    """The AUC of every subgroup, lowest first, or the reason why there is none.

    The kinds of AUC are those of Borkan et al. (2019), "Nuanced Metrics for Measuring Unintended Bias".
    """
    metrics = results.metrics["fairness"]
    if metrics["auc.class"] is None:
        return {"reason": metrics["auc.reason"], "table": None}
    rows = results.auc.assign(interval=interval_texts(results.auc, "auc")).sort_values("auc", kind="stable")
    columns = ["attribute", "group", "kind", "positives", "negatives", "auc", "interval", "status"]
    overall = format_value(metrics["auc.overall"])
    caption = f"AUC of {metrics['auc.class']} against the rest, lowest first; over all test rows {overall}"
    return {"reason": "", "table": to_grid(status_in_words(rows[columns]), caption)}


def augmentations(results: Results) -> dict[str, Any]:
    """A sentence on each stage that made rows, and the table by group."""
    metrics = results.metrics["fairness"]
    sentences = []
    for stage in ("synonyms", "back_translate"):
        rows, exchanged, lost = (
            metrics[f"augmentations.{stage}.{key}"] for key in ("rows", "terms_exchanged", "terms_lost")
        )
        if rows:
            sentences.append(
                f"{stage}: {format_value(exchanged)} of {format_value(rows)} rows speak of another group than the row "
                f"they were made from, {format_value(lost)} no longer say whom they speak of."
            )
    columns = ["stage", "attribute", "group", "gold_rows", "kept", "rejected", "agreement", "gold_agreement"]
    columns += ["terms_lost", "terms_exchanged", "status"]
    kept = results.augmentations[results.augmentations["kept"] > 0]
    return {
        "sentences": sentences,
        "table": to_grid(status_in_words(kept[columns]), "Rows that augmentation made, by group"),
    }


def mitigations(results: Results) -> Grid:
    """Each mitigation: whether it is on, and what it did in this run."""
    mitigation, swaps = results.params["mitigation"], results.params["swaps"]
    attributes = ", ".join(mitigation["attributes"]) or "every attribute"
    copies = results.metrics["swaps"]
    rows = [
        ("reweighing", mitigation["reweighing"], f"label and group independent, for {attributes}"),
        (
            "swapped copies",
            bool(swaps["variants"]),
            f"{format_value(copies['rows'])} copies of gold rows, {format_value(copies['pool_rows'])} of pool rows",
        ),
        ("offsets by class", mitigation["offsets"]["budget"] is not None, offset_effect(results.metrics["export"])),
        ("penalty in fine-tuning", bool(mitigation["penalty"]), f"weight {format_value(mitigation['penalty'])}"),
    ]
    table = pd.DataFrame(rows, columns=["mitigation", "on", "in this run"])
    table["in this run"] = table["in this run"].where(table["on"].astype(bool), MISSING)
    return to_grid(table, "What was done to make groups more even")


def offset_effect(metrics: dict[str, Any]) -> str:
    """The gap before and after the offsets by class, or why there are none; ``metrics`` are those of export."""
    if "offsets.gap_after" not in metrics:
        return str(metrics["offsets.reason"])
    before, after = metrics["offsets.gap_before"], metrics["offsets.gap_after"]
    return f"gap {format_value(before)} to {format_value(after)} on the rows they were chosen on"


def stereotypes(metrics: dict[str, Any]) -> dict[str, Any]:
    """How often the encoder prefers the more stereotypical of two sentences, or the reason why that is unknown.

    ``metrics`` are those of pretrain.
    """
    if metrics.get("stereotype.score") is None:
        return {"reason": metrics.get("stereotype.reason", ""), "sentence": ""}
    score, pairs = format_value(metrics["stereotype.score"]), format_value(metrics["stereotype.pairs"])
    interval = interval_text(metrics["stereotype.score_low"], metrics["stereotype.score_high"])
    sentence = (
        f"The encoder finds the more stereotypical sentence of a pair likelier in {score} of {pairs} pairs "
        f"({interval}); 0.5 would be even."
    )
    return {"reason": "", "sentence": sentence}
