"""The surest errors with their words marked by what these did, for the copy of the page that stays where the data is.

The stage explain hands on places and shares; the texts come from the test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.pages.highlighting import marks

LONGEST = 600  # characters of a text; about what an encoder reads


@dataclass(frozen=True)
class Marked:
    """One error as the page quotes it."""

    id: str
    label: str
    predicted: str
    confidence: float
    text: Markup


def marked(errors: pd.DataFrame, texts: Mapping[str, str], count: int) -> list[Marked]:
    """The first ``count`` errors whose words were attributed."""
    rows = errors[errors["shares"].notna()].head(count)
    return [one(row, texts[row["id"]]) for row in rows.to_dict("records")]


def one(row: Mapping[Any, Any], text: str) -> Marked:
    """A row of errors.parquet with its text."""
    places = zip(row["starts"], row["ends"], strict=True)
    return Marked(
        id=row["id"],
        label=row["label"],
        predicted=row["predicted"],
        confidence=row["confidence"],
        text=marks.html(text, places, row["shares"], LONGEST),
    )
