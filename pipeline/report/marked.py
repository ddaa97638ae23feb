"""The surest errors with their words marked by what these did, for the copy of the page that stays where the data is.

The stage explain hands on places and shares; the texts come from the test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

FAINT = 0.1  # of the strongest word's share: below, a word gets no mark
LONGEST = 600  # characters of a text; about what an encoder reads


@dataclass(frozen=True)
class Piece:
    """A part of a text; ``strength`` is a word's share in parts of the strongest one's, -1 to 1, and 0 for no mark."""

    text: str
    share: float = 0.0
    strength: float = 0.0


@dataclass(frozen=True)
class Marked:
    """One error as the page quotes it."""

    id: str
    label: str
    predicted: str
    confidence: float
    pieces: list[Piece]
    cut: bool  # the text goes on


def marked(errors: pd.DataFrame, texts: Mapping[str, str], count: int) -> list[Marked]:
    """The first ``count`` errors whose words were attributed."""
    rows = errors[errors["shares"].notna()].head(count)
    return [one(row, texts[row["id"]]) for row in rows.to_dict("records")]


def one(row: Mapping[Any, Any], text: str) -> Marked:
    """A row of errors.parquet with its text."""
    strongest = max(map(abs, row["shares"]), default=0.0) or 1.0
    found, place = [], 0
    for start, end, share in zip(row["starts"], row["ends"], row["shares"], strict=True):
        if end > LONGEST:
            break
        strength = float(share) / strongest
        found.append(Piece(text[place:start]))
        found.append(Piece(text[start:end], float(share), strength if abs(strength) >= FAINT else 0.0))
        place = end
    found.append(Piece(text[place:LONGEST]))
    return Marked(
        id=row["id"],
        label=row["label"],
        predicted=row["predicted"],
        confidence=row["confidence"],
        pieces=[piece for piece in found if piece.text],
        cut=len(text) > LONGEST,
    )
