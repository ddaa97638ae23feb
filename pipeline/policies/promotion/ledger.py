"""Who is champion, and who waits for approval: the promotion log, read from its first entry to its last.

An entry that moves the champion names the champion that it expects, and takes effect only if that one is champion at
its turn. A judgement takes effect only if no other judgement came between: of two promoters with the same expectation
the first entry wins. Whether an entry took effect is settled once it is in the log, and does not depend on params.

A verdict that waits for approval moves nobody. It is open until a person settles it, until the champion changes, or
until another verdict on the same version is entered. An approval takes effect if it is open and in time at its turn.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.policies.promotion.entry import AWAITING, CHAMPION_ACTIONS, Entry, VersionIdentity
from pipeline.policies.promotion.reuse_of_test_set import share_of_common_rows


@dataclass(frozen=True)
class ChampionPeriod:
    """A version that became champion by an entry; ``removal`` is the entry that says that it was gone, if one does."""

    version: str
    entry: Entry
    removal: Entry | None = None


@dataclass(frozen=True)
class ApprovalRequest:
    """A verdict or a first version that waits for approval, or did; ``closed_by`` is the entry that ended that."""

    entry: Entry
    closed_by: Entry | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it can be approved at this time."""
        return self.closed_by is None and now <= self.entry.deadline

    def has_lapsed(self, now: datetime) -> bool:
        """Whether it ended without an answer: its time is over, or an entry closed it that is no answer to it."""
        if self.closed_by is None:
            return now > self.entry.deadline
        return self.closed_by.request != self.entry.number


@dataclass(frozen=True)
class Ledger:
    """The log, and what follows from it."""

    entries: tuple[Entry, ...]
    periods: tuple[ChampionPeriod, ...]  # in order; one ends where the next begins, or by its removal
    rollback_path: tuple[Entry, ...]  # those that made the champions that rollbacks go back along, the present one last
    requests: tuple[ApprovalRequest, ...] = ()  # in order
    faults: tuple[str, ...] = field(default=())  # entries that somebody removed or changed

    @property
    def champion_period(self) -> ChampionPeriod | None:
        """The period of the present champion."""
        return self.periods[-1] if self.periods and self.periods[-1].removal is None else None

    @property
    def champion(self) -> str | None:
        """The version that is champion now."""
        return self.champion_period.version if self.champion_period else None

    @property
    def champion_entry(self) -> int:
        """Number of the entry that made the present champion, 0: none."""
        return self.champion_period.entry.number if self.champion_period else 0

    @property
    def earlier_champions(self) -> tuple[Entry, ...]:
        """The entries of the rollback path without the present champion's, the one to go back to first."""
        return tuple(reversed(self.rollback_path[:-1] if self.champion_period else self.rollback_path))

    @property
    def last_judgement(self) -> int:
        """Number of the last entry that is a judgement, 0: none."""
        return max((entry.number for entry in self.entries if entry.is_judgement), default=0)

    def took_effect(self, entry: Entry) -> bool:
        """Whether the entry made its version champion, or said that the champion was gone."""
        return any(
            entry.number == period.entry.number or (period.removal and entry.number == period.removal.number)
            for period in self.periods
        )

    def stands(self, entry: Entry) -> bool:
        """Whether a verdict of "promote" was in time: it made its version champion, or had it wait for approval."""
        return self.took_effect(entry) or any(request.entry.number == entry.number for request in self.requests)

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
                and (entry.verdict.status != "promote" or self.stands(entry))
            ),
            None,
        )

    def find_rollback(self, version: VersionIdentity) -> Entry | None:
        """The rollback that ended this version's last time as champion, if a rollback did."""
        ends = [index + 1 for index, period in enumerate(self.periods) if period.entry.is_about(version)]
        following = self.periods[ends[-1] :] if ends else ()
        return following[0].entry if following and following[0].entry.action == "rollback" else None

    def find_request(self, version: VersionIdentity) -> ApprovalRequest | None:
        """The last request to approve this version."""
        return next((request for request in reversed(self.requests) if request.entry.is_about(version)), None)

    def entries_about(self, version: VersionIdentity) -> list[Entry]:
        """The entries about this version, and not those about another one that had its number."""
        return [entry for entry in self.entries if entry.is_about(version)]

    def period_at(self, time: datetime) -> ChampionPeriod | None:
        """The champion's period at a time; None while there was no champion."""
        period = next((period for period in reversed(self.periods) if period.entry.at <= time), None)
        return None if period and period.removal and period.removal.at <= time else period


def build_ledger(entries: Iterable[Entry], faults: Iterable[str] = ()) -> Ledger:
    """Read the log: apply its entries, which may come in any order, by their numbers."""
    ledger, attempts = Ledger((), (), ()), set()
    for entry in sorted(entries, key=lambda entry: entry.number):
        if entry.attempt not in attempts:
            attempts.add(entry.attempt)
            ledger = apply_entry(ledger, entry)
    return replace(ledger, faults=tuple(faults))


def apply_entry(ledger: Ledger, entry: Entry) -> Ledger:
    """The log with one more entry."""
    periods, path = ledger.periods, ledger.rollback_path
    effective = takes_effect(entry, ledger)
    if effective and entry.action == "removed":
        periods, path = (*periods[:-1], replace(periods[-1], removal=entry)), path[:-1]
    elif effective:
        periods, path = (*periods, ChampionPeriod(entry.version, entry)), next_rollback_path(path, entry)
    in_time = fits(entry, ledger)
    requests = tuple(close_request(request, entry, in_time, effective) for request in ledger.requests)
    if entry.action == AWAITING and in_time:
        requests = (*requests, ApprovalRequest(entry))
    return Ledger((*ledger.entries, entry), periods, path, requests)


def takes_effect(entry: Entry, ledger: Ledger) -> bool:
    """Whether the entry makes its version champion, or ends the time of a champion that is gone, after this log."""
    if entry.action == "removed":
        return entry.expected == entry.version and fits(entry, ledger)
    if entry.action not in CHAMPION_ACTIONS or entry.version == ledger.champion:
        return False
    if entry.action == "approve" and not any(settles(entry, request) for request in ledger.requests):
        return False
    return fits(entry, ledger)


def fits(entry: Entry, ledger: Ledger) -> bool:
    """Whether the champion is the one that the entry expects, and no judgement came that its verdict did not know."""
    period = ledger.champion_period
    if entry.expected != ledger.champion:
        return False
    if period and None not in (entry.expected_run, period.entry.run) and entry.expected_run != period.entry.run:
        return False
    return entry.verdict is None or not entry.is_judgement or entry.verdict.after == ledger.last_judgement


def settles(entry: Entry, request: ApprovalRequest) -> bool:
    """Whether an approval or a rejection is about this request, and in time."""
    return entry.request == request.entry.number and entry.has_version_of(request.entry) and request.is_open(entry.at)


def close_request(request: ApprovalRequest, entry: Entry, in_time: bool, champion_changes: bool) -> ApprovalRequest:
    """The request after an entry, which may settle it, change the champion, or hold another verdict on its version."""
    if request.closed_by is not None:
        return request
    settled = entry.action == "reject" and settles(entry, request)
    another_verdict = entry.action in ("refuse", "insufficient") or (entry.action in (AWAITING, "promote") and in_time)
    replaced = another_verdict and entry.has_version_of(request.entry)
    return replace(request, closed_by=entry) if settled or replaced or champion_changes else request


def next_rollback_path(path: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """The rollback path after an entry that took effect: back along it, or one version longer."""
    if entry.action in ("rollback", "adopted"):
        for index in reversed(range(len(path))):
            if path[index].has_version_of(entry):
                return (*path[:index], entry)
    return (*path, entry)
