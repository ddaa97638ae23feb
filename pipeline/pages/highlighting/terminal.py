"""Explained texts in a terminal, or as plain text where the output is none."""

import numpy as np

from pipeline.pages.highlighting.marks import Places, pieces, strongest, visible

LISTED = 8  # words for the label, and as many against it
BAR = 20  # characters of the longest bar
GREEN, RED, BOLD, END = "\x1b[30;42m", "\x1b[30;41m", "\x1b[1m", "\x1b[0m"


def block(text: str, places: Places, shares: np.ndarray, colours: bool) -> list[str]:
    """Lines: the text, marked where there are colours, then the words for and against with their shares."""
    places = list(places)
    marked = "".join(coloured(one.text, one.strength) for one in pieces(text, places, shares))
    lines = [f"  {marked if colours else visible(text)}"]
    for sign, side, colour in ((1, "for", GREEN), (-1, "against", RED)):
        for place, (word, share) in enumerate(strongest(text, places, shares, sign, LISTED)):
            filled = "█" * max(1, round(abs(share) * BAR))
            bar = f"{colour}{' ' * len(filled)}{END}" if colours else filled
            lines.append(f"  {side if place == 0 else '':7}  {share:+6.1%}  {visible(word)}  {bar}")
    return lines


def coloured(text: str, strength: float) -> str:
    """A piece of a text, on green where it speaks for the label and on red where against; bold where strongly."""
    if not strength:
        return visible(text)
    return f"{BOLD if abs(strength) > 0.5 else ''}{GREEN if strength > 0 else RED}{visible(text)}{END}"
