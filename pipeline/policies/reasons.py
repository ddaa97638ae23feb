"""A line of a verdict: its status, a sentence, and the key of params.yaml that sets the limit, as text and back."""

import re
from dataclasses import dataclass

KEY = re.compile(r" \[([a-z]+\.[a-z0-9_]+)\]$")


@dataclass(frozen=True)
class Reason:
    """One rule: pass, fail, insufficient, off (the limit is null) or not applicable, and why.

    ``key`` is empty for a rule without a limit of its own, and in lines that were stored before lines named it.
    """

    status: str
    sentence: str
    key: str = ""

    def __str__(self) -> str:
        """The line, such as "pass: accuracy is 86.5%, at least 70% wanted [gate.min_accuracy]"."""
        return f"{self.status}: {self.sentence}{f' [{self.key}]' if self.key else ''}"


def parse_reason(line: str) -> Reason:
    """The parts of a line."""
    text, key = split_key(line)
    status, _, sentence = text.partition(": ")
    return Reason(status, sentence, key)


def split_key(line: str) -> tuple[str, str]:
    """A line without the key at its end, and the key; "" where there is none."""
    found = KEY.search(line)
    return (line[: found.start()], found[1]) if found else (line, "")


def percent(share: float) -> str:
    """A share as a percentage with up to two decimals, such as "86.5%"."""
    return f"{round(share * 100, 2):g}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points with up to two decimals, such as "7.4 points"."""
    number = f"{round(difference * 100, 2):g}"
    return f"{number} point" if number == "1" else f"{number} points"
