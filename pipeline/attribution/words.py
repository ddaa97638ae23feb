"""The words of a text, in any script, and which tokens of a model belong to which of them."""

from typing import TYPE_CHECKING

import numpy as np
import regex

from pipeline.text.scripts import SPACELESS

if TYPE_CHECKING:
    from tokenizers import Encoding

# Scripts written without spaces: each character is a word of its own, with the marks that it bears. Elsewhere letters
# and digits that stand together are a word, and anything else is one as the reader sees it: a comma, an emoji with its
# skin tone, a family of four (a grapheme cluster).
WORD = regex.compile(
    rf"{SPACELESS}\p{{M}}*"
    r"|[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}_]|['’\-](?=[\p{L}\p{N}]))*"
    r"|\X"
)
Span = tuple[int, int]


def spans(text: str) -> list[Span]:
    """Start and end of each word, in characters; every character but white space is in exactly one."""
    return [found.span() for found in WORD.finditer(text) if not found.group().isspace()]


def without(text: str, words: list[Span], kept: np.ndarray) -> str:
    """The text with only those of its words for which ``kept`` (words,) is true; white space is drawn together."""
    parts, place = [], 0
    for (start, end), keep in zip(words, kept, strict=True):
        parts.append(text[place:start])
        if keep:
            parts.append(text[start:end])
        place = end
    return " ".join("".join([*parts, text[place:]]).split())


def alignment(encoding: "Encoding", words: list[Span]) -> np.ndarray:
    """Which share of each token belongs to each word, (tokens, words + 1) float64; rows sum to 1.

    Shares are by the characters that a token covers; what covers no word, such as a special token, is in the last
    column. Tokens of one character, such as the bytes of an emoji, all go to its word.
    """
    shares = np.zeros((len(encoding.ids), len(words) + 1))
    starts = np.array([start for start, _ in words], dtype=np.int64)
    for token, (start, end) in enumerate(encoding.offsets):
        if encoding.special_tokens_mask[token] or start == end:
            continue
        word = max(int(np.searchsorted(starts, start, side="right")) - 1, 0)
        while word < len(words) and words[word][0] < end:
            shares[token, word] = max(0, min(end, words[word][1]) - max(start, words[word][0]))
            word += 1
    total = shares.sum(axis=1, keepdims=True)
    shares[:, -1] = total[:, 0] == 0
    return shares / np.where(total > 0, total, 1)
