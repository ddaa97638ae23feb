"""A text in segments: its words, each with the strength of its mark, and what stands between them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from pipeline.core.printable import printable

MIN_STRENGTH = 0.1  # a weaker word gets no mark: with more marks, the strong words no longer stand out

WordSpans = Iterable[tuple[int, int]]  # start and end of each word, in characters


@dataclass(frozen=True)
class Segment:
    """A part of a text: a word, or what stands between two words.

    ``share`` is the word's share of all that moved the score, -1 to 1. ``strength`` is the share divided by that of the
    strongest word, -1 to 1, and 0 for a word without a mark. Both are 0 between words.
    """

    text: str
    share: float
    strength: float


def split_segments(text: str, spans: WordSpans, shares: np.ndarray, limit: int | None = None) -> list[Segment]:
    """The text in segments, cut after the last word that ends within ``limit`` characters and up to ``limit``.

    ``shares`` (words,), float64, -1 to 1, is what `Attribution.shares` returns.
    """
    largest_share = float(np.abs(shares).max(initial=0.0)) or 1.0
    limit = len(text) if limit is None else limit
    segments, position = [], 0
    for (start, end), share in zip(spans, shares.tolist(), strict=True):
        if end > limit:
            break
        strength = share / largest_share
        segments.append(Segment(text[position:start], 0.0, 0.0))
        segments.append(Segment(text[start:end], share, strength if abs(strength) >= MIN_STRENGTH else 0.0))
        position = end
    segments.append(Segment(text[position:limit] + ("…" if limit < len(text) else ""), 0.0, 0.0))
    return [segment for segment in segments if segment.text]


def to_html(text: str, spans: WordSpans, shares: np.ndarray, limit: int | None = None) -> Markup:
    """The text with its words shaded by strength, each with a sign that can be read without colours.

    ``shares`` (words,), float64, -1 to 1, is what `Attribution.shares` returns; the text is cut at ``limit``
    characters.
    """
    return Markup("").join(map(segment_to_html, split_segments(text, spans, shares, limit)))


def segment_to_html(segment: Segment) -> Markup:
    """One segment as HTML: escaped, and in a ``mark`` where it has a strength."""
    if not segment.strength:
        return escape(printable(segment.text))
    side, sign = ("for", "+") if segment.strength > 0 else ("against", "−")
    return Markup('<mark class="{}" style="--strength: {:.0f}%" title="{}">{}<sup>{}</sup></mark>').format(
        side,
        abs(segment.strength) * 100,
        f"{abs(segment.share):.0%} {side} the answer",
        printable(segment.text),
        sign,
    )


def top_words(text: str, spans: WordSpans, shares: np.ndarray, sign: int, count: int) -> list[tuple[str, float]]:
    """The ``count`` words that pushed most for (``sign`` 1) or against (-1) the label, with their shares.

    ``shares`` (words,), float64, -1 to 1, is what `Attribution.shares` returns.
    """
    words = [(text[start:end], share) for (start, end), share in zip(spans, shares.tolist(), strict=True)]
    pushed = [(word, share) for word, share in words if share * sign > 0]
    return sorted(pushed, key=lambda pair: -abs(pair[1]))[:count]
