"""The words of a text with how strongly each is marked."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

FAINT = 0.1  # of the strongest word's share: below, a word gets no mark

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # what could move a terminal's cursor, hide or reorder what is read
JOINERS = {"\u200c", "\u200d"}  # they join emoji and letters, and do no more
Places = Iterable[tuple[int, int]]  # start and end of each word, in characters


@dataclass(frozen=True)
class Piece:
    """A part of a text: a word with its share of what moved the score, or what stands between words, whose share is 0.

    ``strength`` is the share in parts of the strongest word's, -1 to 1, and 0 where it is faint.
    """

    text: str
    share: float
    strength: float


def pieces(text: str, places: Places, shares: np.ndarray, limit: int | None = None) -> list[Piece]:
    """The text in pieces, as far as character ``limit``; ``shares`` (words,) as of `Attribution.shares`."""
    strongest = float(np.abs(shares).max(initial=0.0)) or 1.0
    limit = len(text) if limit is None else limit
    found, place = [], 0
    for (start, end), share in zip(places, shares.tolist(), strict=True):
        if end > limit:
            break
        strength = share / strongest
        found.append(Piece(text[place:start], 0.0, 0.0))
        found.append(Piece(text[start:end], share, strength if abs(strength) >= FAINT else 0.0))
        place = end
    found.append(Piece(text[place:limit] + ("…" if limit < len(text) else ""), 0.0, 0.0))
    return [one for one in found if one.text]


def visible(text: str) -> str:
    """The text with its control, format and unassigned characters written out, so that it does nothing to a reader.

    White space of any kind becomes a blank.
    """
    return "".join(
        " " if one.isspace() else written(one) if unicodedata.category(one) in HIDDEN and one not in JOINERS else one
        for one in text
    )


def written(character: str) -> str:
    """A character by its code, as Python writes it."""
    return (
        character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else f"\\x{ord(character):02x}"
    )


def html(text: str, places: Places, shares: np.ndarray, limit: int | None = None) -> Markup:
    """The text with its words shaded by strength, each with a sign that can be read without colours."""
    return Markup("").join(marked(one) for one in pieces(text, places, shares, limit))


def marked(piece: Piece) -> Markup:
    """One piece as HTML."""
    if not piece.strength:
        return escape(visible(piece.text))
    kind, sign, told = ("for", "+", "for") if piece.strength > 0 else ("against", "−", "against")
    about = f"{abs(piece.share):.0%} {told} the answer"
    return Markup('<mark class="{}" style="--strength: {:.0f}%" title="{}">{}<sup>{}</sup></mark>').format(
        kind, abs(piece.strength) * 100, about, visible(piece.text), sign
    )


def strongest(text: str, places: Places, shares: np.ndarray, sign: int, count: int) -> list[tuple[str, float]]:
    """The ``count`` words that pushed most for (``sign`` 1) or against (-1) the label, with their shares."""
    words = [(text[start:end], share) for (start, end), share in zip(places, shares.tolist(), strict=True)]
    pushed = [(word, share) for word, share in words if share * sign > 0]
    return sorted(pushed, key=lambda one: -abs(one[1]))[:count]
