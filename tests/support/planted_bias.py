"""A corpus with a planted bias: callers praise the person who served them, or complain.

In gold rows and pool, 90 % of the texts on women are complaints and 50 % of the texts on men. In the test rows it is
50 % of both. Praise and complaint have distinct words, so that the label does not depend on the gender. A model that
uses the gender calls praise of a woman a complaint.
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
DEEDS = {
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
    """Tables of the row schema with a group attribute; the rows of the pool have no labels."""

    train: pd.DataFrame
    pool: pd.DataFrame
    test: pd.DataFrame


def corpus(seed: int, gold: int = 80, pool: int = 400, test: int = 400, women: float = 0.25) -> Corpus:
    """The corpus with so many rows in ``gold``, ``pool`` and ``test``; no text is in two of the three.

    ``women`` is the share of gold rows and pool that is on women, 0 to 1; of the test rows it is half.
    """
    rng = random.Random(seed)
    used: set[str] = set()
    tables = {
        name: to_table(name, list(draw_texts(rng, used, round(size * share), size - round(size * share), blamed)))
        for name, size, share, blamed in (
            ("test", test, 0.5, 0.5),
            ("gold", gold, women, 0.9),
            ("pool", pool, women, 0.9),
        )
    }
    tables["pool"]["label"], tables["pool"]["origin"] = None, "unlabelled"
    return Corpus(tables["gold"], table.to_schema(tables["pool"]), tables["test"])


def draw_texts(
    rng: random.Random, used: set[str], women: int, men: int, women_blamed: float
) -> Iterator[tuple[str, str, str]]:
    """Distinct texts as (text, label, group): ``women`` and ``men`` texts, with an exact share of complaints.

    New texts are added to ``used``, and none of ``used`` is drawn again.
    """
    for gender, (group, size, blamed) in enumerate((("women", women, women_blamed), ("men", men, 0.5))):
        for number in range(size):
            label = "complaint" if number < round(blamed * size) else "praise"
            text = draw_sentence(rng, gender, label)
            while text in used:
                text = draw_sentence(rng, gender, label)
            used.add(text)
            yield text, label, group


def draw_sentence(rng: random.Random, gender: int, label: str) -> str:
    """A sentence on a person of this gender (0: woman, 1: man): an aside, and what they did."""
    person, pronoun = rng.choice(PEOPLE)[gender], PRONOUNS[gender]
    return f"{person} {rng.choice(ASIDES)} {rng.choice(TIMES)} and {pronoun} {rng.choice(DEEDS[label])}".lower()


def to_table(name: str, content: list[tuple[str, str, str]]) -> pd.DataFrame:
    """The texts (text, label, group) as a table of gold rows."""
    texts = [text for text, _, _ in content]
    ids = [table.row_id(name, text) for text in texts]
    groups = pd.DataFrame({f"group.{ATTRIBUTE}": [group for _, _, group in content]})
    labels: list[str | None] = [label for _, label, _ in content]
    return table.make(id=ids, source_id=ids, text=texts, label=labels, origin="gold", groups=groups)
