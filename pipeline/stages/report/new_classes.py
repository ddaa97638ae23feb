"""The section on candidates for new classes: texts of the pool that get no label and resemble each other.

The copy of the page that stays with the data has typical words and texts. The copy that travels has ids alone.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.pages.grid import Grid, format_value, to_grid
from pipeline.stages.report.gather import Results
from pipeline.text.typical_words import typical_words

WORDS = 8  # of a candidate
QUOTED = 3  # rows of a candidate, the most typical ones


def section(results: Results, texts: Mapping[str, str] | None) -> dict[str, Any]:
    """The content of the section. With ``texts`` of the pool, by id, candidates have words and rows are quoted."""
    candidates = results.new_classes
    groups = [rows for _, rows in candidates.groupby("candidate", sort=True)]
    return {
        "count": format_value(len(groups)),
        "refused": format_value(results.metrics["export"].get("abstention.pool_refused", 0)),
        "clustered": format_value(len(candidates)),
        "table": candidate_table(groups, gold_rows(results), texts),
        "quoted": [] if texts is None else [[texts[id_] for id_ in rows["id"].head(QUOTED)] for rows in groups],
    }


def gold_rows(results: Results) -> pd.DataFrame:
    """Id and label of the gold rows, in whose texts a word is to be rare to be typical; none without candidates."""
    rows = results.training[results.training["origin"].eq("gold")]
    return rows if len(results.new_classes) else rows.head(0)


def candidate_table(groups: list[pd.DataFrame], gold: pd.DataFrame, texts: Mapping[str, str] | None) -> Grid:
    """A row for each candidate: its number of rows, its words where there are texts, and its most typical rows.

    ``gold`` holds id and label of the gold rows.
    """
    rows: dict[str, Any] = {"candidate": range(1, len(groups) + 1), "rows": list(map(len, groups))}
    if texts is not None:
        named = [rows for _, rows in gold.groupby("label")]
        of_groups, of_named = ([[texts[id_] for id_ in rows["id"]] for rows in part] for part in (groups, named))
        words = typical_words(of_groups, of_named, WORDS)
        rows["typical words"] = list(map(", ".join, words))
    rows["most typical rows"] = [", ".join(group["id"].head(QUOTED)) for group in groups]
    return to_grid(pd.DataFrame(rows), "Candidates for a new class, the largest first")
