"""The section on why: how far explanations can be trusted, what lies behind the surest errors, and the map.

Where the page may hold texts, the errors are quoted with their words marked; the copy that travels with the model has
no word of any text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths, read_json
from pipeline.pages.grid import MISSING, Grid, grid, show
from pipeline.pages.highlighting import NAMES
from pipeline.stages.report.marked import marked

RANDOM = "random"
MEASURES = ("comprehensiveness", "sufficiency")
ORIGINS = {"gold": "gold", "pseudo": "pseudo-labelled"}


@dataclass(frozen=True)
class Explained:
    """What the stage explain found, without words."""

    metrics: dict[str, Any]
    errors: pd.DataFrame
    faithfulness: pd.DataFrame


def read(paths: Paths) -> Explained:
    """The outputs of the stage; UserError where one is missing."""
    folder = paths.data("explain")
    metrics = read_json(folder / "metrics.json")
    for name in ("errors.parquet", "faithfulness.csv"):
        if not (folder / name).exists():
            raise UserError(
                f"{folder / name}: expected the output of an earlier stage, found no such file; run `dvc repro`"
            )
    judged = pd.read_csv(folder / "faithfulness.csv", keep_default_na=False)
    return Explained(metrics, pd.read_parquet(folder / "errors.parquet"), judged)


def view(found: Explained, offsets: Mapping[str, float], texts: Mapping[str, str] | None, count: int) -> dict[str, Any]:
    """What the section shows; up to ``count`` of the errors with their words, where there are ``texts``.

    ``offsets`` are those of the served model by class; none where it has none.
    """
    metrics = found.metrics
    used = found.errors["method"].dropna()
    return {
        "methods": methods(found),
        "doubted": [NAMES[one] for one in metrics["methods"] if one not in metrics["better_than_random"]],
        "refused": {NAMES[method]: why for method, why in metrics["not_applicable"].items()},
        "sample": show(metrics["sample"]),
        "compared": compared(found.faithfulness),
        "offsets": bool(offsets),
        "errors": errors(found.errors, offsets),
        "marked": [] if texts is None else marked(found.errors, texts, count),
        "marked_by": NAMES[used.iloc[0]] if len(used) else "",
        "origins": behind(found.errors),
        "points": show(metrics["map_points"]),
        "vectors": metrics["vectors_by"],
    }


def methods(found: Explained) -> Grid:
    """Both measures of each method, how much better than chance they are, and the verdict."""
    table = found.faithfulness
    rows = []
    for method in [*found.metrics["methods"], RANDOM]:
        line: dict[str, Any] = {"method": NAMES.get(method, "random ranking")}
        for measure in MEASURES:
            of = table["method"].eq(method) & table["measure"].eq(measure)
            line[measure] = float(table.loc[of & table["against"].eq(""), "value"].iloc[0])
            line[f"{measure} less chance's"] = difference(table[of & table["against"].eq(RANDOM)])
        line["verdict"] = verdict(method, found.metrics["better_than_random"])
        rows.append(line)
    return grid(pd.DataFrame(rows), "How faithful each method is to the model")


def verdict(method: str, good: list[str]) -> str:
    """What the measures say of a method."""
    if method == RANDOM:
        return MISSING
    return "better than chance" if method in good else "no better than chance"


def difference(rows: pd.DataFrame) -> str:
    """A difference with its interval, as in "0.216 (0.187 to 0.249)"."""
    if rows.empty:
        return MISSING
    one = rows.iloc[0]
    return f"{show(float(one['value']))} ({show(float(one['low']))} to {show(float(one['high']))})"


def compared(table: pd.DataFrame) -> Grid:
    """Each method against each other one, once."""
    pairs = table[~table["against"].isin(["", RANDOM]) & (table["method"] < table["against"])]
    rows = [
        {
            "method": NAMES[one["method"]],
            "against": NAMES[one["against"]],
            "measure": one["measure"],
            "difference": difference(pd.DataFrame([one])),
            "the first is": {"yes": "better", "no": "worse"}.get(one["better"], "as good, or too few rows to tell"),
        }
        for one in pairs.to_dict("records")
    ]
    return grid(pd.DataFrame(rows), "The methods against each other, on the same rows")


def errors(rows: pd.DataFrame, offsets: Mapping[str, float]) -> Grid:
    """The surest errors by id, with the training row that lies nearest to each."""
    kept = ["id", "label", "predicted", "confidence", "words", "half", "table", "score"]
    if offsets:
        rows = rows.assign(offsets=rows["predicted"].map(offsets) - rows["label"].map(offsets))
        kept.insert(-1, "offsets")
    near = [f"nearest_{name}" for name in ("neighbour", "label", "origin", "similarity")]
    named = {
        "label": "true class",
        "predicted": "answer",
        "half": "words that make half",
        "nearest_neighbour": "nearest training row",
        "nearest_label": "its label",
        "nearest_origin": "its origin",
        "nearest_similarity": "similarity",
        "table": "from the words' table",
        "offsets": "from class offsets",
        "score": "logits between both",
    }
    return grid(rows[[*kept, *near]].rename(columns=named), "The surest errors, and what lies nearest", code=True)


def class_offsets(labels: list[str], exported: Mapping[str, Any]) -> dict[str, float]:
    """What export added to the score of each class; nothing where it moved none."""
    values = exported.get("offsets.values") or []
    return dict(zip(labels, values, strict=True)) if any(values) else {}


def behind(rows: pd.DataFrame) -> str:
    """How many of the errors lie nearest to a training row that bears the wrong answer, and where those come from."""
    if rows.empty:
        return ""
    same = rows[rows["nearest_label"].eq(rows["predicted"])]
    said = f"{len(same)} of these {len(rows)} lie nearest to a training row that bears the wrong answer as its label"
    if same.empty:
        return f"{said}."
    counts = same["nearest_origin"].value_counts()
    parts = ", ".join(
        f"{count} {ORIGINS.get(str(origin), f'from {origin}')}" for origin, count in counts.sort_index().items()
    )
    return f"{said} ({parts}): look there first for a wrong label, or for classes that nobody could tell apart."
