"""Pieces of Markdown: tables, inline code, lists of words, sentences and bounds of numbers."""

from typing import Any

BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
SEED_LIMIT = 2**32  # the upper bound of every seed, which says nothing to a reader


def table(head: list[str], rows: Any) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def code(value: Any) -> str:
    """A value as inline code."""
    return f"`{value}`"


def listing(words: list[str]) -> str:
    """Words with commas, and "and" before the last one."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sentence(text: str) -> str:
    """A comment as a sentence: a capital first, a full stop last."""
    return text and f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!' else '.'}"


def limits(field: dict[str, Any]) -> str:
    """The bounds of a number, such as " from 0 to 1" or ", above 0, below 1"; the upper one of a seed is left out."""
    if "minimum" in field and "maximum" in field:
        return f" from {field['minimum']:g} to {field['maximum']:g}"
    return "".join(
        f", {word} {field[key]:g}" for key, word in BOUNDS.items() if field.get(key, SEED_LIMIT) != SEED_LIMIT
    )
