"""Which class is taken for which: the matrix as a table that can be read aloud, and the most frequent confusions."""

from dataclasses import dataclass

import pandas as pd

from pipeline.pages.grid import Grid, grid, show
from pipeline.stages.report.gather import Results

LISTED = 10  # confusions
MOST = 20  # classes; a larger matrix is a picture, which cannot be read but shows its pattern


@dataclass(frozen=True)
class Cell:
    """Test rows of one true class that got one label, and their share of that class, 0 to 1."""

    rows: str
    share: float
    right: bool


def matrix(results: Results) -> list[tuple[str, list[Cell]]] | None:
    """True class -> how its test rows were labelled, in the order of the labels; None where classes are too many."""
    labels = results.labels
    if len(labels) > MOST:
        return None
    rows = results.predictions
    counts = (
        pd.crosstab(rows["label"], rows["predicted"]).reindex(index=labels, columns=labels, fill_value=0).to_numpy()
    )
    return [
        (
            true,
            [
                Cell(show(int(n)), float(n / max(1, line.sum())), true == one)
                for one, n in zip(labels, line, strict=True)
            ],
        )
        for true, line in zip(labels, counts, strict=True)
    ]


def frequent(results: Results) -> pd.DataFrame:
    """Which class is taken for which, most frequent first: label, predicted, size, and ``of`` so many of the class."""
    rows = results.predictions
    wrong = rows[rows["label"] != rows["predicted"]]
    counts = wrong.groupby(["label", "predicted"], as_index=False).size()
    counts["of"] = counts["label"].map(rows["label"].value_counts())
    return counts.sort_values(["size", "label", "predicted"], ascending=[False, True, True])


def listed(results: Results) -> Grid:
    """The most frequent confusions."""
    names = {"label": "true class", "predicted": "taken for", "size": "rows", "of": "of"}
    return grid(frequent(results).head(LISTED).rename(columns=names), "Most frequent confusions")
