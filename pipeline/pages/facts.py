"""Numbers that stand out at the head of a page, and differences as percentage points."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One number that stands out, with a short note on it."""

    name: str
    value: str
    note: str


def percentage_points(difference: float) -> str:
    """A difference of shares, -1 to 1, in percentage points with its sign."""
    return f"{difference * 100:+.1f}".replace("-", "−")
