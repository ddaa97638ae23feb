"""The section on explanations: how far they can be trusted, what lies behind the surest errors, and the map.

The copy of the page that stays with the data quotes the errors with their words marked. The copy that travels with the
model has no word of any text.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.pages.grid import MISSING, Grid, format_value, to_grid
from pipeline.pages.highlighting import METHOD_NAMES
from pipeline.stages.report.gather import ExplainOutputs, Results
from pipeline.stages.report.quoted_errors import quote_errors

RANDOM = "random"
MEASURES = ("comprehensiveness", "sufficiency")
ORIGIN_WORDS = {"gold": "gold", "pseudo": "pseudo-labelled"}
ERROR_COLUMNS = {  # column of errors.parquet -> heading
    "id": "id",
    "label": "true class",
    "predicted": "answer",
    "confidence": "confidence",
    "words": "words",
    "half": "words that make half",
    "table": "from the words' table",
    "offsets": "from class offsets",
    "score": "logits between both",
    "nearest_neighbour": "nearest training row",
    "nearest_label": "its label",
    "nearest_origin": "its origin",
    "nearest_similarity": "similarity",
}


def section(results: Results, texts: Mapping[str, str] | None, count: int) -> dict[str, Any]:
    """The content of the section. With ``texts``, by id, up to ``count`` errors are quoted with their words marked."""
    outputs = results.explanations
    metrics, errors = outputs.metrics, outputs.errors
    offsets = class_offsets(results.labels, results.metrics["export"])
    quoted_methods = errors["method"].dropna()
    unreliable = [method for method in metrics["methods"] if method not in metrics["better_than_random"]]
    return {
        "methods": faithfulness_table(outputs),
        "unreliable": [METHOD_NAMES[method] for method in unreliable],
        "not_applicable": {METHOD_NAMES[method]: reason for method, reason in metrics["not_applicable"].items()},
        "sample": format_value(metrics["sample"]),
        "comparisons": comparison_table(outputs.faithfulness),
        "has_offsets": bool(offsets),
        "errors": error_table(errors, offsets),
        "quoted": [] if texts is None else quote_errors(errors, texts, count),
        "quoted_method": METHOD_NAMES[quoted_methods.iloc[0]] if len(quoted_methods) else "",
        "nearest_rows": nearest_rows_sentence(errors),
        "points": format_value(metrics["map_points"]),
        "vectors": metrics["vectors_by"],
    }


def faithfulness_table(outputs: ExplainOutputs) -> Grid:
    """Comprehensiveness and sufficiency of each method, their differences from a random ranking, and the verdict.

    The measures are those of DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP Models".
    """
    table = outputs.faithfulness
    rows = []
    for method in [*outputs.metrics["methods"], RANDOM]:
        row: dict[str, Any] = {"method": METHOD_NAMES.get(method, "random ranking")}
        for measure in MEASURES:
            lines = table[table["method"].eq(method) & table["measure"].eq(measure)]
            row[measure] = float(lines.loc[lines["against"].eq(""), "value"].iloc[0])
            row[f"{measure} less chance's"] = difference_text(lines[lines["against"].eq(RANDOM)])
        row["verdict"] = verdict(method, outputs.metrics["better_than_random"])
        rows.append(row)
    return to_grid(pd.DataFrame(rows), "How faithful each method is to the model")


def verdict(method: str, better_than_random: list[str]) -> str:
    """Whether a method is better than chance, in words."""
    if method == RANDOM:
        return MISSING
    return "better than chance" if method in better_than_random else "no better than chance"


def difference_text(rows: pd.DataFrame) -> str:
    """The difference in the first row with its interval, such as "0.216 (0.187 to 0.249)"."""
    if rows.empty:
        return MISSING
    value, low, high = (format_value(float(rows.iloc[0][column])) for column in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def comparison_table(faithfulness: pd.DataFrame) -> Grid:
    """Each pair of methods once, with the difference between the two."""
    pairs = faithfulness[
        ~faithfulness["against"].isin(["", RANDOM]) & (faithfulness["method"] < faithfulness["against"])
    ]
    rows = [
        {
            "method": METHOD_NAMES[pair["method"]],
            "against": METHOD_NAMES[pair["against"]],
            "measure": pair["measure"],
            "difference": difference_text(pd.DataFrame([pair])),
            "the first is": {"yes": "better", "no": "worse"}.get(pair["better"], "as good, or too few rows to tell"),
        }
        for pair in pairs.to_dict("records")
    ]
    return to_grid(pd.DataFrame(rows), "The methods against each other, on the same rows")


def error_table(errors: pd.DataFrame, offsets: Mapping[str, float]) -> Grid:
    """The surest errors by id, each with its nearest training row. ``offsets`` by class are empty where none is set."""
    columns = dict(ERROR_COLUMNS)
    if offsets:
        errors = errors.assign(offsets=errors["predicted"].map(offsets) - errors["label"].map(offsets))
    else:
        del columns["offsets"]
    return to_grid(errors[list(columns)].rename(columns=columns), "The surest errors, and what lies nearest", code=True)


def class_offsets(labels: list[str], exported: Mapping[str, Any]) -> dict[str, float]:
    """What export added to the score of each class, in logits; empty where it moved no class."""
    values = exported.get("offsets.values") or []
    return dict(zip(labels, values, strict=True)) if any(values) else {}


def nearest_rows_sentence(errors: pd.DataFrame) -> str:
    """How many errors have a nearest training row with the same wrong label, and the origins of those rows."""
    if errors.empty:
        return ""
    same = errors[errors["nearest_label"].eq(errors["predicted"])]
    share = f"{len(same)} of these {len(errors)} lie nearest to a training row that bears the wrong answer as its label"
    if same.empty:
        return f"{share}."
    counts = same["nearest_origin"].value_counts()
    origins = ", ".join(
        f"{count} {ORIGIN_WORDS.get(str(origin), f'from {origin}')}" for origin, count in counts.sort_index().items()
    )
    return f"{share} ({origins}): look there first for a wrong label, or for classes that nobody could tell apart."
