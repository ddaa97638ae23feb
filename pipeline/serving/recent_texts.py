"""The last texts that were answered, in memory only, so that a correction can name one by the id of its prediction."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_CHARACTERS = 4_000_000  # of all texts together


@dataclass(frozen=True)
class AnsweredText:
    """A text, PII masked, and what was answered."""

    text: str
    version: str | None
    key: str  # the id of the API key that asked
    label: str


class RecentTexts:
    """At most ``count`` texts by prediction id; the oldest are forgotten first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.texts: OrderedDict[str, AnsweredText] = OrderedDict()
        self.characters = 0

    def add(self, prediction: str, answered: AnsweredText) -> None:
        """Keep a text, and forget those that are too many."""
        if not self.count:
            return
        self.texts[prediction] = answered
        self.characters += len(answered.text)
        while len(self.texts) > self.count or self.characters > MAX_CHARACTERS:
            _, forgotten = self.texts.popitem(last=False)
            self.characters -= len(forgotten.text)

    def find(self, prediction: str, key: str) -> AnsweredText | None:
        """What was answered to this key under this id; None if it was forgotten, or never was."""
        answered = self.texts.get(prediction)
        return answered if answered and answered.key == key else None
