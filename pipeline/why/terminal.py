"""Explained texts in a terminal, or as plain text where the output is none."""

import unicodedata

import numpy as np

from pipeline.why.marks import pieces, strongest

LISTED = 8  # words for the label, and as many against it
BAR = 20  # characters of the longest bar
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # what could move the cursor, hide or reorder what is read
JOINERS = {"\u200c", "\u200d"}  # they join emoji and letters, and do no more
GREEN, RED, BOLD, END = "\x1b[30;42m", "\x1b[30;41m", "\x1b[1m", "\x1b[0m"


def visible(text: str) -> str:
    """The text with its control, format and unassigned characters written out, so that it can do nothing to a terminal.

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


def block(text: str, shares: np.ndarray, colours: bool) -> list[str]:
    """Lines: the text, marked where there are colours, then the words for and against with their shares."""
    lines = [
        "  " + ("".join(coloured(one.text, one.strength) for one in pieces(text, shares)) if colours else visible(text))
    ]
    for sign, side, colour in ((1, "for", GREEN), (-1, "against", RED)):
        for place, (word, share) in enumerate(strongest(text, shares, sign, LISTED)):
            filled = "█" * max(1, round(abs(share) * BAR))
            bar = f"{colour}{' ' * len(filled)}{END}" if colours else filled
            lines.append(f"  {side if place == 0 else '':7}  {share:+6.1%}  {visible(word)}  {bar}")
    return lines


def coloured(text: str, strength: float) -> str:
    """A piece of a text, on green where it speaks for the label and on red where against; bold where strongly."""
    if not strength:
        return visible(text)
    return f"{BOLD if abs(strength) > 0.5 else ''}{GREEN if strength > 0 else RED}{visible(text)}{END}"
