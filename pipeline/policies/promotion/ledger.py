"""Who is champion: the promotion log, read from its first entry to its last.

An entry that moves the champion names the champion that it expects, and takes effect only if that one is champion at
its turn. A judgement takes effect only if no other judgement came between: of two promoters with the same expectation
the first entry wins. Whether an entry took effect is settled once it is in the log, and does not depend on params.

The fields of `Entry` and `VerdictRecord` are the keys of an entry as it is stored, except for those in `STORED_NAMES`:
entries that were written before must stay readable.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from pipeline.policies.promotion.reuse_of_test_set import share_of_common_rows
from pipeline.policies.promotion.verdict import PromotionStatus

Action = Literal["initial", "adopted", "promote", "refuse", "insufficient", "rollback"]
CHAMPION_ACTIONS = ("initial", "adopted", "promote", "rollback")
STORED_NAMES = {"verdict": "judged"}  # field of Entry: its key in a stored entry


@dataclass(frozen=True)
class VerdictRecord:
    """What an entry records of a verdict; ``key`` is the same for the same pair, rows and params."""

    key: str
    status: PromotionStatus
    artifact: str  # of the challenger's run: the whole verdict
    rows: str  # digest of the test rows
    sketch: tuple[str, ...]
    same_rows: float  # promotion.same_test_rows
    judgement: int  # this one is the k-th on the test rows
    after: int  # number of the last judgement that it knew of, 0: none
    metric: str
    champion_score: float
    challenger_score: float
    low: float
    margin: float
    again: int | None = None  # number of the entry whose stored verdict this one repeats; None: a new judgement


@dataclass(frozen=True)
class Entry:
    """One entry; ``version`` is the challenger of the verdict, or the version that becomes champion."""

    number: int
    at: datetime  # UTC, by the clock of the store
    action: Action
    version: str
    expected: str | None  # the champion that it was decided against; None: none
    reason: str
    by: str
    flow_run: str
    attempt: str  # unique to the attempt, so that an entry that was sent twice counts once
    verdict: VerdictRecord | None = None
    intact: bool = True  # its content has the digest that it was written with

    @property
    def is_judgement(self) -> bool:
        """Whether it uses up the test set: a verdict that repeats no earlier one."""
        return self.verdict is not None and self.verdict.again is None


@dataclass(frozen=True)
class ChampionPeriod:
    """A version that became champion by an entry."""

    version: str
    entry: Entry


@dataclass(frozen=True)
class Ledger:
    """The log, and what follows from it."""

    entries: tuple[Entry, ...]
    periods: tuple[ChampionPeriod, ...]  # in order; one begins where the one before ends
    rollback_path: tuple[str, ...]  # champions that rollbacks go back along, the present one last
    faults: tuple[str, ...] = field(default=())  # entries that somebody removed or changed

    @property
    def champion(self) -> str | None:
        """The version that is champion now."""
        return self.rollback_path[-1] if self.rollback_path else None

    @property
    def champion_entry(self) -> int:
        """Number of the entry that made the present champion, 0: none."""
        return self.periods[-1].entry.number if self.periods else 0

    @property
    def last_judgement(self) -> int:
        """Number of the last entry that is a judgement, 0: none."""
        return max((entry.number for entry in self.entries if entry.is_judgement), default=0)

    def took_effect(self, entry: Entry) -> bool:
        """Whether the entry made its version champion."""
        return any(period.entry.number == entry.number for period in self.periods)

    def count_judgements(self, sketch: Iterable[str], same_rows: float) -> int:
        """How many judgements were made on test sets that share at least ``same_rows`` of their rows with this one."""
        rows = tuple(sketch)
        return sum(
            share_of_common_rows(entry.verdict.sketch, rows) >= same_rows
            for entry in self.entries
            if entry.verdict is not None and entry.is_judgement
        )

    def find_judgement(self, key: str) -> Entry | None:
        """The judgement of the same pair, rows and params, if its verdict stands.

        A promotion that came too late does not stand: it was judged at a level that another judgement had used.
        """
        return next(
            (
                entry
                for entry in self.entries
                if entry.verdict is not None
                and entry.is_judgement
                and entry.verdict.key == key
                and (entry.action != "promote" or self.took_effect(entry))
            ),
            None,
        )

    def find_rollback(self, version: str) -> Entry | None:
        """The rollback that ended this version's last time as champion, if a rollback did."""
        ends = [index + 1 for index, period in enumerate(self.periods) if period.version == version]
        following = self.periods[ends[-1] :] if ends else ()
        return following[0].entry if following and following[0].entry.action == "rollback" else None

    def period_at(self, time: datetime) -> ChampionPeriod | None:
        """The champion's period at a time; None before the first."""
        return next((period for period in reversed(self.periods) if period.entry.at <= time), None)


def build_ledger(entries: Iterable[Entry], faults: Iterable[str] = ()) -> Ledger:
    """Read the log: apply its entries, which may come in any order, by their numbers."""
    kept: list[Entry] = []
    periods: list[ChampionPeriod] = []
    path: list[str] = []
    attempts: set[str] = set()
    last_judgement = 0
    for entry in sorted(entries, key=lambda entry: entry.number):
        if entry.attempt in attempts:
            continue
        attempts.add(entry.attempt)
        kept.append(entry)
        if takes_effect(entry, path[-1] if path else None, last_judgement):
            periods.append(ChampionPeriod(entry.version, entry))
            path = next_rollback_path(path, entry)
        if entry.is_judgement:
            last_judgement = entry.number
    return Ledger(tuple(kept), tuple(periods), tuple(path), tuple(faults))


def takes_effect(entry: Entry, champion: str | None, last_judgement: int) -> bool:
    """Whether the entry makes its version champion after this champion and this judgement."""
    if entry.action not in CHAMPION_ACTIONS or entry.expected != champion or entry.version == champion:
        return False
    return entry.verdict is None or not entry.is_judgement or entry.verdict.after == last_judgement


def next_rollback_path(path: list[str], entry: Entry) -> list[str]:
    """The rollback path after an entry that took effect: back along it, or one version longer."""
    if entry.version in path and entry.action in ("rollback", "adopted"):
        return path[: path.index(entry.version) + 1]
    return [*path, entry.version]


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """The content of an entry under its stored names."""
    return {STORED_NAMES.get(name, name): value for name, value in asdict(entry).items()}


def entry_from_json(content: dict[str, Any]) -> Entry:
    """The entry of a content under its stored names. Raises pydantic's ValidationError if it has another layout."""
    fields = {stored: name for name, stored in STORED_NAMES.items()}
    return TypeAdapter(Entry).validate_python({fields.get(key, key): value for key, value in content.items()})
