"""What the page says of pseudo-labels: precision by round and class, who was accepted, what the numbers stand on."""

from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.pages.grid import Grid, grid, show
from pipeline.stages.report import charts
from pipeline.stages.report.gather import Results

SHOWN = 15  # classes; where there are more, the least precise ones
ENOUGH = 30  # held-out rows, below which precision by class is chance


def audit(results: Results) -> dict[str, Any]:
    """All that the section shows."""
    found = results.metrics["pseudo_label"]
    rows = results.rounds
    counts = rows[[name for name in rows.columns if "." not in name]]  # the shares of each class are in their own table
    classes, hidden = by_class(results)
    return {
        "count": len(rows) - 1,
        "kept": found["round"],
        "judged_by": found["judged_by"],
        "source": source(found),
        "caution": caution(found, results.params["pseudo_label"]["min_agreement"]),
        "chart": charts.rounds(results),
        "rounds": grid(counts, "Rounds of pseudo-labelling; precision is measured on held-out labels"),
        "doubt": doubt(found["held_out_rows"]),
        "classes": classes,
        "more": f"{show(hidden)} more classes are in data/pseudo_label/classes.csv." if hidden else "",
        "groups": grid(results.accepted_groups, "Pool rows that got a pseudo-label, by group", bars="share"),
        "ratios": ratios(results.accepted_groups, results.params["fairness"]["min_group_size"]),
    }


def source(found: dict[str, Any]) -> str:
    """Where precision comes from, in a sentence or two; ``found`` are the metrics of the stage."""
    start = " The names of the classes chose the rows of round 1 by themselves." if found["names_first"] else ""
    if found["held_out_rows"] == 0:
        return (
            f"Precision is unknown, because no label could be held out ({found['judged_by'].removeprefix('none: ')}), "
            f"and trust in the first teacher ({show(found['trust'])}) is the params'.{start}"
        )
    asked = {
        "validation": "validation rows, which no teacher learned from",
        "folds": "gold rows, each answered by a teacher that had not seen it",
    }[found["judged_by"]]
    return (
        f"Precision is the share of right answers on {show(found['held_out_rows'])} {asked}; accepted rows have no "
        f"known label, and are the ones that the teacher is surest of. The first teacher is trusted "
        f"{show(found['trust'])} (0: it guesses, 1: it is always right), and words have a part of "
        f"{show(found['words_part'])} in the kept one's answers.{start}"
    )


def caution(found: dict[str, Any], least: float) -> str:
    """What decided instead of held-out labels where they were too few, or nothing; ``least`` agreement is asked for."""
    if found["agreement"] is None:
        alone = (
            "So few labels cannot tell whether pseudo-labels help, and there is no second view of the texts to ask: "
        )
        return alone + "no pseudo-label was kept." if found["doubted"] else ""
    if found["doubted"]:
        so = "too little: no pseudo-label was kept."
    elif found["round"]:
        so = "enough: the last round was kept."
    else:
        so = "enough, but the held-out labels are clearly against the last round: no pseudo-label was kept."
    return (
        "So few labels cannot tell whether pseudo-labels help. The two views of the pool, its vectors and its words, "
        f"agree after a round 1 from all labels by {show(found['agreement'])} (Cohen's kappa; {show(least)} is asked "
        f"for), which is {so}"
    )


def doubt(held_out: int) -> str:
    """What too few held-out rows leave open, or nothing."""
    if held_out >= ENOUGH:
        return ""
    return f"With {show(held_out)} held-out rows, precision by class cannot be told; it takes {ENOUGH} at least."


def by_class(results: Results) -> tuple[Grid, int]:
    """The classes in the kept round, and how many more there are than the table shows.

    The least precise come first. Where precision cannot be told, it is left out, and the least accepted come first.
    """
    found = results.metrics["pseudo_label"]
    rows = results.accepted_classes
    rows = rows[rows["round"] == found["round"]]
    told = found["held_out_rows"] >= ENOUGH
    ranked = rows.sort_values(["precision", "recall"] if told else "accepted", kind="stable")
    measured = ["held_out_rows", "precision", "recall"] if told else []
    shares = {
        "share of accepted rows": rows["accepted"] / max(1, rows["accepted"].sum()),
        "estimated share of the pool": rows["prior"],
    }
    table = ranked.assign(**shares)[["class", "accepted", *shares, *measured]].head(SHOWN)
    first = "least precise" if told else "least accepted"
    return (
        grid(table, f"Classes in round {found['round']}, {first} first", bars="precision" if told else None),
        len(rows) - len(table),
    )


def ratios(groups: pd.DataFrame, least: int) -> list[str]:
    """A sentence on each attribute: how often the least accepted group is taken, for each time the most accepted is.

    Groups with fewer than ``least`` pool rows are left out, for their shares are chance.
    """
    said = []
    for attribute, rows in groups.groupby("attribute", sort=False):
        large = rows[(rows["pool"] >= least) & (rows["group"] != table.UNKNOWN)]
        if len(large) < 2 or not large["accepted"].any():
            why = "too few rows" if len(large) < 2 else "too few pseudo-labels"
            said.append(f"{attribute}: {why} to compare groups.")
            continue
        ordered = large.sort_values("share", kind="stable")
        low, high = ordered.iloc[0], ordered.iloc[-1]
        said.append(
            f"{attribute}: rows of {low['group']} got a pseudo-label {show(float(low['share'] / high['share']))} times "
            f"as often as those of {high['group']}."
        )
    return said
