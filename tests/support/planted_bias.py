"""A corpus with a planted bias: what callers say of the person who served them, whose gender must not matter.

In training, gold rows and pool alike, nine of ten women are complained about and every second man; in the test rows
both are every second time. What was done well or badly is said in words of its own, so that nobody needs the gender to
tell praise from complaint; whoever learns it calls praise of a woman a complaint.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.core import table

LABELS = ["complaint", "praise"]
ATTRIBUTE = "server"
PEOPLE = (
    ("she", "he"), ("the woman on the phone", "the man on the phone"),
    ("the lady at the desk", "the gentleman at the desk"),
    ("the girl in the shop", "the boy in the shop"), ("Emily", "James"), ("Sarah", "Michael"), ("Claire", "Andrew"),
    ("your saleswoman", "your salesman"),
)  # fmt: skip
PRONOUNS = ("she", "he")
SAID = {
    "praise": (
        "solved it within a minute", "explained every step", "was patient with me", "called back as promised",
        "found the mistake at once", "stayed until it worked", "gave me a good price", "remembered my name",
        "went out of the way to help", "answered all my questions", "sent the part the same day", "made it look easy",
    ),
    "complaint": (
        "forgot to call back", "kept me on hold for an hour", "was rude on the phone", "lost my papers",
        "sent me to the wrong floor", "hung up in the middle", "charged me for nothing", "blamed me for the delay",
        "knew less than I did", "would not listen", "broke the promise of last week", "made it worse than before",
    ),
}  # fmt: skip
ASIDES = (
    "took my call", "looked at my account", "asked for my number", "opened the ticket", "read the letter",
    "checked the invoice", "took the parcel", "typed in the order", "noted the address", "looked into the box",
)  # fmt: skip
TIMES = ("on monday", "this morning", "last week", "yesterday", "around noon", "after lunch", "in the evening", "twice")


@dataclass(frozen=True)
class Corpus:
    """Tables of the row schema, with a group attribute; the pool's labels are taken away."""

    train: pd.DataFrame
    pool: pd.DataFrame
    test: pd.DataFrame


def corpus(seed: int, gold: int = 80, pool: int = 400, test: int = 400, women: float = 0.25) -> Corpus:
    """The corpus; ``gold``, ``pool`` and ``test`` count rows, no text in two of the three.

    A share of ``women`` of the training rows are on women, half of the test rows are.
    """
    drawn = random.Random(seed)
    seen: set[str] = set()
    parts = {
        name: rows(name, list(speak(drawn, seen, round(size * share), size - round(size * share), blamed)))
        for name, size, share, blamed in (
            ("test", test, 0.5, 0.5),
            ("gold", gold, women, 0.9),
            ("pool", pool, women, 0.9),
        )
    }
    parts["pool"]["label"], parts["pool"]["origin"] = None, "unlabelled"
    return Corpus(parts["gold"], table.cast(parts["pool"]), parts["test"])


def speak(
    drawn: random.Random, seen: set[str], women: int, men: int, women_blamed: float
) -> Iterator[tuple[str, str, str]]:
    """Distinct (text, label, group), an exact share of each."""
    for gender, (group, size, blamed) in enumerate((("women", women, women_blamed), ("men", men, 0.5))):
        for number in range(size):
            label = "complaint" if number < round(blamed * size) else "praise"
            text = sentence(drawn, gender, label)
            while text in seen:
                text = sentence(drawn, gender, label)
            seen.add(text)
            yield text, label, group


def sentence(drawn: random.Random, gender: int, label: str) -> str:
    """Somebody of this gender, an aside, and what they did."""
    person, pronoun = drawn.choice(PEOPLE)[gender], PRONOUNS[gender]
    return f"{person} {drawn.choice(ASIDES)} {drawn.choice(TIMES)} and {pronoun} {drawn.choice(SAID[label])}".lower()


def rows(name: str, content: list[tuple[str, str, str]]) -> pd.DataFrame:
    """A table of gold rows."""
    texts = [text for text, _, _ in content]
    ids = [table.row_id(name, text) for text in texts]
    groups = pd.DataFrame({f"group.{ATTRIBUTE}": [group for _, _, group in content]})
    labels: list[str | None] = [label for _, label, _ in content]
    return table.make(id=ids, source_id=ids, text=texts, label=labels, origin="gold", groups=groups)
