"""Patterns of scripts: those written without spaces between words, and Han."""

import re

# One character of a script without spaces, and the signs that lengthen a katakana vowel. A pattern for the packages
# regex and tokenizers: Python's re does not know \p.
UNSPACED_SCRIPTS = r"[\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"

LETTER = re.compile(r"[^\W\d_]")

# The Han characters in common use, as the ranges of a character class; for Python's re.
HAN_RANGES = "\u3400-\u4dbf\u4e00-\u9fff"


def has_no_spaces(text: str) -> bool:
    """Whether more than half of the letters of ``text`` belong to scripts that put no space between words."""
    import regex

    return len(regex.findall(UNSPACED_SCRIPTS, text)) > len(LETTER.findall(text)) / 2
