"""Explained texts in a terminal, or as plain text where the output is no terminal."""

import numpy as np

from pipeline.core.printable import printable
from pipeline.pages.highlighting.segments import WordSpans, split_segments, top_words

LISTED_WORDS = 8  # words for the label, and as many against it
BAR_WIDTH = 20  # characters of the longest bar
GREEN, RED, BOLD, END = "\x1b[30;42m", "\x1b[30;41m", "\x1b[1m", "\x1b[0m"
STRONG = 0.5  # strength above which a word is bold: half that of the strongest word


def format_explanation(text: str, spans: WordSpans, shares: np.ndarray, colours: bool) -> list[str]:
    """Lines: the text, with marks if ``colours``, then the words for and against the label with their shares.

    ``shares`` (words,), float64, -1 to 1, is what `Attribution.shares` returns.
    """
    spans = list(spans)
    marked = "".join(colour_segment(part.text, part.strength) for part in split_segments(text, spans, shares))
    lines = [f"  {marked if colours else printable(text)}"]
    for sign, side, colour in ((1, "for", GREEN), (-1, "against", RED)):
        for rank, (word, share) in enumerate(top_words(text, spans, shares, sign, LISTED_WORDS)):
            filled = "█" * max(1, round(abs(share) * BAR_WIDTH))
            bar = f"{colour}{' ' * len(filled)}{END}" if colours else filled
            lines.append(f"  {side if rank == 0 else '':7}  {share:+6.1%}  {printable(word)}  {bar}")
    return lines


def colour_segment(text: str, strength: float) -> str:
    """A part of a text, on green where it speaks for the label and on red where against it; bold where strong."""
    if not strength:
        return printable(text)
    return f"{BOLD if abs(strength) > STRONG else ''}{GREEN if strength > 0 else RED}{printable(text)}{END}"
