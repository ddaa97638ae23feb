"""What the classes are called: in their description, or in their name as words. Some names say nothing."""

import re
from collections.abc import Mapping, Sequence

from pipeline.core import table

# Names such as "1", "B", "LABEL_0" or "class_a": an ordinal, after a word for "class" or without one.
SAYS_NOTHING = re.compile(
    r"((label|class|category|cat|group|type|topic|intent|target|tag|cluster|id|c|l|y)[\s#:_-]*)?(\d+|[a-z])",
    re.IGNORECASE,
)


def class_texts(labels: Sequence[str], descriptions: Mapping[str, str]) -> list[str]:
    """What each class is called: its description, or its name as words."""
    return [descriptions.get(label) or label_as_words(label) for label in labels]


def label_as_words(label: str) -> str:
    """A label with spaces for underscores and hyphens: ``card_arrival`` becomes ``card arrival``."""
    words = table.normalise(label.replace("_", " ").replace("-", " "))
    return words or label


def doubt_meaning(texts: Sequence[str]) -> str:
    """Why these names or descriptions say nothing of what texts are about, in a sentence; empty where most do."""
    empty = [text for text in texts if SAYS_NOTHING.fullmatch(text.strip())]
    return f"names such as {empty[0]!r} say nothing about a text" if len(empty) * 2 > len(texts) else ""
