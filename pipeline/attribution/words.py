"""The words of a text in any script, and which of a model's tokens belong to which word."""

from typing import TYPE_CHECKING

import numpy as np
import regex

from pipeline.text.scripts import UNSPACED_SCRIPTS

if TYPE_CHECKING:
    from tokenizers import Encoding

# In scripts without spaces each character is a word, with its combining marks. Elsewhere adjacent letters and digits
# are a word. Any other grapheme cluster is a word too: a comma, an emoji with its skin tone, a family of four.
WORD = regex.compile(
    rf"{UNSPACED_SCRIPTS}\p{{M}}*"
    r"|[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}_]|['’\-](?=[\p{L}\p{N}]))*"
    r"|\X"
)
Span = tuple[int, int]


def word_spans(text: str) -> list[Span]:
    """Start and end of each word, in characters; every character but white space is in exactly one word."""
    return [match.span() for match in WORD.finditer(text) if not match.group().isspace()]


def keep_words(text: str, words: list[Span], kept: np.ndarray) -> str:
    """The text with only some of its words; runs of white space become one space.

    ``kept`` (words,), bool, is true for the words that stay.
    """
    parts, position = [], 0
    for (start, end), keep in zip(words, kept, strict=True):
        parts.append(text[position:start])
        if keep:
            parts.append(text[start:end])
        position = end
    return " ".join("".join([*parts, text[position:]]).split())


def alignment(encoding: "Encoding", words: list[Span]) -> np.ndarray:
    """The share of each token that belongs to each word, (tokens, words + 1), float64, 0 to 1; rows sum to 1.

    A token is shared out by the characters that it covers in each word. The last column is for tokens that cover no
    word, such as special tokens. A token of one character, such as a byte of an emoji, belongs wholly to its word.
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
