"""What the page says of fairness beyond group gaps: swapped terms, ranking by subgroup, augmentation, mitigation."""

from typing import Any

import pandas as pd

from pipeline.pages.grid import MISSING, Grid, grid, show
from pipeline.stages.report.gather import Results

SHOWN = 12  # pairs and terms that are listed; the files in data/ have all
RATE = {"flip_rate": "flip rate", "interval": "interval", "mean_change": "mean change of score"}


def checks(results: Results) -> dict[str, Any]:
    """All that the section shows."""
    found = results.metrics["counterfactual"]
    pairs, terms = results.swapped_pairs, results.swapped_terms
    return {
        "rows": show(found["rows_with_a_term"]),
        "test_rows": show(found["test_rows"]),
        "left_out": found["swaps_left_out"],
        "min_rows": found["min_rows"],
        "limit": results.params["gate"]["max_flip_rate"],
        "axes": by_axis(found),
        "pairs": listed(pairs, ["axis", "from", "to"], ["gaining_label", "gain"], "Pairs of groups, most flips first"),
        "terms": listed(terms, ["axis", "from", "term"], ["signed_change"], "Terms, most flips first"),
        "auc": ranking(results),
        "augmentations": augmentations(results),
        "mitigations": mitigations(results),
        "stereotypes": stereotypes(results.metrics["pretrain"]),
    }


def by_axis(found: dict[str, Any]) -> Grid:
    """Flips of each axis of terms; ``found`` are the metrics of counterfactual."""
    rows = [
        {
            "axis": axis,
            "rows": found[f"{axis}.rows"],
            "flip rate": found[f"{axis}.flip_rate"],
            "interval": span(found[f"{axis}.flip_rate_low"], found[f"{axis}.flip_rate_high"]),
            "mean change of score": found[f"{axis}.mean_change"],
            "status": found[f"{axis}.status"],
        }
        for axis in found["axes"]
    ]
    columns = ["axis", "rows", *RATE.values(), "status"]
    return grid(pd.DataFrame(rows, columns=columns), "How often the label flips when a term is swapped, by axis")


def listed(rows: pd.DataFrame, names: list[str], more: list[str], caption: str) -> Grid:
    """The pairs or terms that flip most; those with too few rows come last."""
    ranked = rows.sort_values(["status", "flip_rate", "rows"], ascending=[False, False, False], kind="stable")
    ranked = ranked.assign(interval=spans(ranked, "flip_rate")).head(SHOWN)
    return grid(ranked[[*names, "rows", *RATE, *more, "status"]].rename(columns=RATE), caption)


def spans(rows: pd.DataFrame, name: str) -> list[str]:
    """The interval of each row's measured value, as text."""
    return [span(low, high) for low, high in zip(rows[f"{name}_low"], rows[f"{name}_high"], strict=True)]


def span(low: float | None, high: float | None) -> str:
    """An interval as text."""
    return MISSING if low is None or pd.isna(low) else f"{show(low)} to {show(high)}"


def ranking(results: Results) -> dict[str, Any]:
    """The AUC of every subgroup, lowest first, or the reason why there is none."""
    found = results.metrics["fairness"]
    if found["auc.class"] is None:
        return {"reason": found["auc.reason"], "table": None}
    rows = results.auc.assign(interval=spans(results.auc, "auc")).sort_values("auc", kind="stable")
    columns = ["attribute", "group", "kind", "positives", "negatives", "auc", "interval", "status"]
    whole = show(found["auc.overall"])
    caption = f"AUC of {found['auc.class']} against the rest, lowest first; over all test rows {whole}"
    return {"reason": "", "table": grid(rows[columns], caption)}


def augmentations(results: Results) -> dict[str, Any]:
    """A sentence on each stage that made rows, and the table by group."""
    found = results.metrics["fairness"]
    said = []
    for stage in ("synonyms", "back_translate"):
        rows, exchanged, lost = (
            found[f"augmentations.{stage}.{key}"] for key in ("rows", "terms_exchanged", "terms_lost")
        )
        if rows:
            said.append(
                f"{stage}: {show(exchanged)} of {show(rows)} rows speak of another group than the row they were made "
                f"from, {show(lost)} no longer say whom they speak of."
            )
    columns = ["stage", "attribute", "group", "gold_rows", "kept", "rejected", "agreement", "gold_agreement"]
    columns += ["terms_lost", "terms_exchanged", "status"]
    made = results.augmentations[results.augmentations["kept"] > 0]
    return {"said": said, "table": grid(made[columns], "Rows that augmentation made, by group")}


def mitigations(results: Results) -> Grid:
    """Which are on, and what each did in this run."""
    params, metrics = results.params, results.metrics
    section, swaps = params["mitigation"], params["swaps"]
    attributes = ", ".join(section["attributes"]) or "every attribute"
    copies = f"{show(metrics['swaps']['rows'])} copies of gold rows, {show(metrics['swaps']['pool_rows'])} of pool rows"
    offsets = metrics["export"]
    moved = str(offsets["offsets.reason"])
    if "offsets.gap_after" in offsets:
        before, after = offsets["offsets.gap_before"], offsets["offsets.gap_after"]
        moved = f"gap {show(before)} to {show(after)} on the rows they were chosen on"
    rows = [
        ("reweighing", section["reweighing"], f"label and group independent, for {attributes}"),
        ("swapped copies", bool(swaps["variants"]), copies),
        ("offsets by class", section["offsets"]["budget"] is not None, moved),
        ("penalty in fine-tuning", bool(section["penalty"]), f"weight {show(section['penalty'])}"),
    ]
    table = pd.DataFrame(rows, columns=["mitigation", "on", "in this run"])
    table["in this run"] = table["in this run"].where(table["on"].astype(bool), MISSING)
    return grid(table, "What was done to make groups more even")


def stereotypes(found: dict[str, Any]) -> dict[str, Any]:
    """How often the encoder finds the more stereotypical of two sentences likelier, or why nobody knows."""
    if found.get("stereotype.score") is None:
        return {"reason": found.get("stereotype.reason", ""), "said": ""}
    score, pairs = show(found["stereotype.score"]), show(found["stereotype.pairs"])
    interval = span(found["stereotype.score_low"], found["stereotype.score_high"])
    said = f"The encoder finds the more stereotypical sentence of a pair likelier in {score} of {pairs} pairs "
    return {"reason": "", "said": f"{said}({interval}); 0.5 would be even."}
