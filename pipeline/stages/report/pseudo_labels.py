"""The section on pseudo-labels: precision by round and class, the accepted rows, and what precision is measured on."""

from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.pages.grid import Grid, format_value, to_grid
from pipeline.stages.report import charts
from pipeline.stages.report.gather import Results

LISTED_CLASSES = 15  # of many classes, the least precise ones; the file in data/ has all
MIN_HELD_OUT_ROWS = 30  # with fewer held-out rows, precision by class is mostly chance


def section(results: Results) -> dict[str, Any]:
    """The content of the section."""
    metrics, rounds = results.metrics["pseudo_label"], results.rounds
    columns = [name for name in rounds.columns if "." not in name]  # shares by class have a table of their own
    classes, hidden = class_table(results)
    return {
        "count": len(rounds) - 1,
        "kept": metrics["round"],
        "judged_by": metrics["judged_by"],
        "precision_source": precision_source(metrics),
        "what_led": what_led(metrics),
        "chart": charts.rounds_chart(results),
        "rounds": to_grid(rounds[columns], "Rounds of pseudo-labelling; precision is measured on held-out labels"),
        "few_rows_note": few_rows_note(metrics["held_out_rows"]),
        "classes": classes,
        "hidden_note": f"{format_value(hidden)} more classes are in data/pseudo_label/classes.csv." if hidden else "",
        "groups": to_grid(results.accepted_groups, "Pool rows that got a pseudo-label, by group", bars="share"),
        "group_ratios": group_ratios(results.accepted_groups, results.params["fairness"]["min_group_size"]),
    }


def precision_source(metrics: dict[str, Any]) -> str:
    """What precision was measured on, in a sentence; ``metrics`` are those of the stage."""
    if metrics["held_out_rows"] == 0:
        reason = metrics["judged_by"].removeprefix("none: ")
        return f"Precision is unknown, because no label could be held out ({reason})."
    held_out = {
        "validation": "validation rows, which no head learned from",
        "folds": "gold rows, each answered by heads that had not seen it",
    }[metrics["judged_by"]]
    return (
        f"Precision is the share of right answers on {format_value(metrics['held_out_rows'])} {held_out}; accepted "
        "rows have no known label, and are the ones that the heads are surest of."
    )


def what_led(metrics: dict[str, Any]) -> str:
    """Who led the first heads, how many neighbours agree and what that decided, and what was left out."""
    leads = {
        "names": "The names of the classes led the first heads, and gold rows corrected them.",
        "gold": "Gold rows led the first heads, because they were clearly right more often than names.",
        "no names": "Gold rows alone made the first heads.",
    }
    doubt = metrics["names_doubted"]
    described = f" Descriptions of the classes (ingest.labels.descriptions) would help: {doubt}." if doubt else ""
    agreement = (
        f" Near texts get the same label from these heads by {format_value(metrics['neighbour_agreement'])} "
        "(Cohen's kappa); where many do, several rounds follow, elsewhere one."
    )
    foreign = metrics["foreign"]
    left_out = f" {format_value(foreign)} pool rows are near no class, and were left out." if foreign else ""
    return leads[metrics["lead"]] + described + agreement + left_out


def few_rows_note(held_out_rows: int) -> str:
    """A note that precision by class is unknown where too few rows are held out; empty otherwise."""
    if held_out_rows >= MIN_HELD_OUT_ROWS:
        return ""
    return (
        f"With {format_value(held_out_rows)} held-out rows, precision by class cannot be told; it takes "
        f"{MIN_HELD_OUT_ROWS} at least."
    )


def class_table(results: Results) -> tuple[Grid, int]:
    """The classes in the kept round, the least precise first, and how many more there are than the table shows.

    With too few held-out rows there is no precision, and the least accepted classes come first.
    """
    metrics = results.metrics["pseudo_label"]
    classes = results.accepted_classes
    classes = classes[classes["round"] == metrics["round"]]
    is_measured = metrics["held_out_rows"] >= MIN_HELD_OUT_ROWS
    ranked = classes.sort_values(["precision", "recall"] if is_measured else "accepted", kind="stable")
    measured = ["held_out_rows", "precision", "recall"] if is_measured else []
    shares = {
        "share of accepted rows": classes["accepted"] / max(1, classes["accepted"].sum()),
        "estimated share of the pool": classes["prior"],
    }
    listed = ranked.assign(**shares)[["class", "accepted", *shares, *measured]].head(LISTED_CLASSES)
    order = "least precise" if is_measured else "least accepted"
    caption = f"Classes in round {metrics['round']}, {order} first"
    return to_grid(listed, caption, bars="precision" if is_measured else None), len(classes) - len(listed)


def group_ratios(groups: pd.DataFrame, min_rows: int) -> list[str]:
    """A sentence on each attribute that compares the group with the smallest share of pseudo-labels to the largest.

    Groups with fewer than ``min_rows`` pool rows are left out, because their shares are chance.
    """
    sentences = []
    for attribute, rows in groups.groupby("attribute", sort=False):
        large = rows[(rows["pool"] >= min_rows) & (rows["group"] != table.UNKNOWN_GROUP)]
        if len(large) < 2 or not large["accepted"].any():
            reason = "too few rows" if len(large) < 2 else "too few pseudo-labels"
            sentences.append(f"{attribute}: {reason} to compare groups.")
            continue
        ordered = large.sort_values("share", kind="stable")
        low, high = ordered.iloc[0], ordered.iloc[-1]
        ratio = format_value(float(low["share"] / high["share"]))
        sentences.append(
            f"{attribute}: rows of {low['group']} got a pseudo-label {ratio} times as often as those of "
            f"{high['group']}."
        )
    return sentences
