"""The most confident test errors with their words marked, for the copy of the page that stays with the data.

The stage explain writes the positions and shares of the words. The texts come from the test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from pipeline.pages.highlighting import segments

MAX_CHARACTERS = 600  # of a text that is quoted: about as much as an encoder reads


@dataclass(frozen=True)
class QuotedError:
    """One error as the page quotes it."""

    id: str
    label: str
    predicted: str
    confidence: float
    text: Markup


def quote_errors(errors: pd.DataFrame, texts: Mapping[str, str], count: int) -> list[QuotedError]:
    """The first ``count`` errors whose words were attributed; ``texts`` are by id."""
    attributed = errors[errors["shares"].notna()].head(count)
    return [quote_error(row, texts[row["id"]]) for row in attributed.to_dict("records")]


def quote_error(row: Mapping[Any, Any], text: str) -> QuotedError:
    """A row of errors.parquet with its text."""
    spans = zip(row["starts"], row["ends"], strict=True)
    return QuotedError(
        id=row["id"],
        label=row["label"],
        predicted=row["predicted"],
        confidence=row["confidence"],
        text=segments.to_html(text, spans, row["shares"], MAX_CHARACTERS),
    )
