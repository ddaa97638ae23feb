"""Which class is taken for which: the confusion matrix as a table, and the most frequent confusions."""

from dataclasses import dataclass

import pandas as pd

from pipeline.pages.grid import Grid, format_value, to_grid
from pipeline.stages.report.gather import Results

LISTED_PAIRS = 10
MAX_MATRIX_CLASSES = 20  # a table of more classes does not fit a page: a picture shows the pattern instead


@dataclass(frozen=True)
class Cell:
    """Test rows of one true class that got one label, and their share of that class, 0 to 1."""

    rows: str
    share: float
    right: bool


def matrix(results: Results) -> list[tuple[str, list[Cell]]] | None:
    """Each true class with the cells of its row, in the order of the labels; None where there are too many classes."""
    labels = results.labels
    if len(labels) > MAX_MATRIX_CLASSES:
        return None
    rows = results.predictions
    counts = pd.crosstab(rows["label"], rows["predicted"]).reindex(index=labels, columns=labels, fill_value=0)
    matrix_rows = []
    for true_label, row in zip(labels, counts.to_numpy(), strict=True):
        size = max(1, row.sum())
        cells = [
            Cell(format_value(int(count)), float(count / size), true_label == predicted)
            for predicted, count in zip(labels, row, strict=True)
        ]
        matrix_rows.append((true_label, cells))
    return matrix_rows


def frequent_pairs(results: Results) -> pd.DataFrame:
    """Each confusion, most frequent first: label, predicted, size (rows), and ``of`` (all test rows of the label)."""
    rows = results.predictions
    wrong = rows[rows["label"] != rows["predicted"]]
    counts = wrong.groupby(["label", "predicted"], as_index=False).size()
    counts["of"] = counts["label"].map(rows["label"].value_counts())
    return counts.sort_values(["size", "label", "predicted"], ascending=[False, True, True])


def pair_table(results: Results) -> Grid:
    """The most frequent confusions."""
    names = {"label": "true class", "predicted": "taken for", "size": "rows", "of": "of"}
    return to_grid(frequent_pairs(results).head(LISTED_PAIRS).rename(columns=names), "Most frequent confusions")
