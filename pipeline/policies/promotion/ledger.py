"""Who is champion: the promotion log, read from its first entry to its last.

An entry that moves the champion names the one that it expects. It takes effect only if that one is champion when its
turn comes, and a judgement only if no other judgement came between: of two promoters with the same expectation the
first entry wins. Whether an entry took effect is settled once it is in the log, and does not depend on params.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pipeline.policies.promotion.alpha_spending import shared
from pipeline.policies.promotion.verdict import Status

Action = Literal["initial", "adopted", "promote", "refuse", "insufficient", "rollback"]
STARTS = ("initial", "adopted", "promote", "rollback")


@dataclass(frozen=True)
class Judged:
    """What an entry tells of a judgement; ``key`` is the same for the same pair, rows and params."""

    key: str
    status: Status
    artifact: str  # of the challenger's run: the whole verdict
    rows: str  # digest of the test rows
    sketch: tuple[str, ...]
    same_rows: float  # promotion.same_test_rows
    judgement: int
    after: int  # number of the last judgement that it knew of, 0: none
    metric: str
    champion_score: float
    challenger_score: float
    low: float
    margin: float
    again: int | None = None  # number of the entry whose stored verdict this one repeats: nothing new was judged


@dataclass(frozen=True)
class Entry:
    """One entry; ``version`` is the one that was judged, or that becomes champion."""

    number: int
    at: datetime  # UTC, by the clock of the store
    action: Action
    version: str
    expected: str | None  # the champion that it was decided against; None: none
    reason: str
    by: str
    flow_run: str
    attempt: str  # unique to the attempt, so that one that was sent twice counts once
    judged: Judged | None = None
    intact: bool = True  # its content has the digest that it was written with

    @property
    def spends(self) -> bool:
        """Whether it is a judgement of its own."""
        return self.judged is not None and self.judged.again is None


@dataclass(frozen=True)
class Reign:
    """A version that became champion by an entry."""

    version: str
    entry: Entry


@dataclass(frozen=True)
class Ledger:
    """The log, and what follows from it."""

    entries: tuple[Entry, ...]
    reigns: tuple[Reign, ...]  # in order; one begins where the one before ends
    line: tuple[str, ...]  # champions that a rollback goes back along, the present one last
    faults: tuple[str, ...] = field(default=())  # entries that somebody removed or changed

    @property
    def champion(self) -> str | None:
        """The version that is champion now."""
        return self.line[-1] if self.line else None

    @property
    def moved(self) -> int:
        """Number of the entry that the present champion became champion by, 0: none."""
        return self.reigns[-1].entry.number if self.reigns else 0

    @property
    def last_judgement(self) -> int:
        """Number of the last entry that is a judgement, 0: none."""
        return max((one.number for one in self.entries if one.spends), default=0)

    def took_effect(self, entry: Entry) -> bool:
        """Whether the entry made its version champion."""
        return any(reign.entry.number == entry.number for reign in self.reigns)

    def judgements(self, sketch: Iterable[str], same_rows: float) -> int:
        """How many judgements were made on a test set that shares at least this part of its rows with this one."""
        own = tuple(sketch)
        return sum(
            shared(one.judged.sketch, own) >= same_rows for one in self.entries if one.judged is not None and one.spends
        )

    def known(self, key: str) -> Entry | None:
        """The judgement of the same pair, rows and params, if its verdict stands.

        One that would have promoted but came too late does not: it was made at a level that another had used.
        """
        return next(
            (
                one
                for one in self.entries
                if one.judged is not None
                and one.spends
                and one.judged.key == key
                and (one.action != "promote" or self.took_effect(one))
            ),
            None,
        )

    def set_aside(self, version: str) -> Entry | None:
        """The rollback that took this version off, if it has not been champion since."""
        last = [place for place, reign in enumerate(self.reigns) if reign.version == version]
        after = self.reigns[last[-1] + 1 :] if last else ()
        return after[0].entry if after and after[0].entry.action == "rollback" else None

    def reign_at(self, time: datetime) -> Reign | None:
        """The reign at a time; None before the first."""
        return next((reign for reign in reversed(self.reigns) if reign.entry.at <= time), None)


def fold(entries: Iterable[Entry], faults: Iterable[str] = ()) -> Ledger:
    """Read the log; entries in any order."""
    kept: list[Entry] = []
    reigns: list[Reign] = []
    line: list[str] = []
    seen: set[str] = set()
    last_judgement = 0
    for entry in sorted(entries, key=lambda one: one.number):
        if entry.attempt in seen:
            continue
        seen.add(entry.attempt)
        kept.append(entry)
        if moves(entry, line[-1] if line else None, last_judgement):
            reigns.append(Reign(entry.version, entry))
            line = follow(line, entry)
        if entry.spends:
            last_judgement = entry.number
    return Ledger(tuple(kept), tuple(reigns), tuple(line), tuple(faults))


def moves(entry: Entry, champion: str | None, last_judgement: int) -> bool:
    """Whether the entry takes effect when this version is champion."""
    if entry.action not in STARTS or entry.expected != champion or entry.version == champion:
        return False
    return entry.judged is None or not entry.spends or entry.judged.after == last_judgement


def follow(line: list[str], entry: Entry) -> list[str]:
    """The line of champions after an entry: back along it, or one further."""
    if entry.version in line and entry.action in ("rollback", "adopted"):
        return line[: line.index(entry.version) + 1]
    return [*line, entry.version]
