"""Follows the promotion log: finds out which version is to answer, has its bundle on this machine, and hands it over.

When the registry does not answer, what was handed over stays, and the handover says so. When a bundle is not the one
that was recorded, the former version stays. The last champion is kept as a file, so that a service that starts while
the registry is gone has something to serve.
"""

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.printable import print_note
from pipeline.core.stage import Paths
from pipeline.policies.promotion.entry import Entry
from pipeline.serving.handover import Handover, NamedBundle, RegistryState, read_handover, write_handover
from tasks.prefect_states.known_causes import known_cause
from tasks.registry.champion_record import ChampionRecord, read_champion_record, read_run_record
from tasks.registry.manifest import manifest_digest
from tasks.registry.version_bundle import bundle_folder
from tasks.registry.version_choice import CHAMPION, choose_version

UNREACHABLE = "the registry does not answer; the log of the service has the reason"


@dataclass(frozen=True)
class Wanted:
    """What to serve: a version by number or alias, and one in the shadow."""

    model: str
    version: str = CHAMPION
    shadow: str | None = None


class Follower:
    """Looks at the registry of the project ``root`` and writes the handover. It is used by one thread at a time."""

    def __init__(self, root: Path, wanted: Wanted, path: Path) -> None:
        self.root, self.wanted, self.path = root, wanted, path
        self.handover = Handover()
        self.noted = ""

    @property
    def last(self) -> Path:
        """The file of what was handed over last, which outlives the service."""
        name = "".join(part if part.isalnum() else "-" for part in f"{self.wanted.model}-{self.wanted.version}")
        return Paths(self.root).scratch("serve") / f"{name}.json"

    def start(self) -> None:
        """Look for the first time. Raises UserError if the registry answers, and has nothing to serve."""
        try:
            record = read_champion_record(self.root, self.wanted.model)
        except Exception as error:  # noqa: BLE001  MLflow may raise anything
            former = read_handover(self.last)
            self.hand_over(replace(former, registry=RegistryState(False, UNREACHABLE, former.registry.asked)))
            self.note(f"serve: {describe(error)}; what was served last is served")
            return
        number = choose(record, self.wanted.model, self.wanted.version)
        self.hand_over(self.update(record, self.find(record, number)))

    def look(self) -> None:
        """Look once, and hand over what changed."""
        try:
            record = read_champion_record(self.root, self.wanted.model)
        except Exception as error:  # noqa: BLE001  MLflow may raise anything
            registry = RegistryState(False, UNREACHABLE, self.handover.registry.asked)
            self.hand_over(replace(self.handover, registry=registry))
            self.note(f"serve: {describe(error)}; goes on with what it has")
            return
        served, fault, note = self.handover.served, "", ""
        number = ""
        try:
            number = choose(record, self.wanted.model, self.wanted.version)
            served = self.find(record, number)
        except Exception as error:  # noqa: BLE001  a download may raise anything
            fault = f"version {number} is not served" if number else "the promotion log names no version"
            note = f"serve: {fault}: {describe(error)}"
        self.hand_over(replace(self.update(record, served), fault=fault))
        self.note(note)

    def update(self, record: ChampionRecord, served: NamedBundle | None) -> Handover:
        """The handover after the registry answered."""
        registry = RegistryState(True, "", datetime.now(UTC).isoformat(timespec="seconds"))
        return Handover(served, self.find_shadow(record), registry, "", tuple(record.versions))

    def find_shadow(self, record: ChampionRecord) -> NamedBundle | None:
        """The version in the shadow; None if none is wanted, or if there is none."""
        if self.wanted.shadow is None:
            return None
        try:
            number = choose(record, self.wanted.model, self.wanted.shadow)
            former = self.handover.shadow
            return former if is_known(former, record, number) else self.fetch(record, number)
        except Exception:  # noqa: BLE001  what answers does not depend on it
            return None

    def find(self, record: ChampionRecord, number: str) -> NamedBundle:
        """The bundle of a version, checked byte by byte unless it is the one that is served already."""
        former = self.handover.served
        if former and is_known(former, record, number):
            return replace(former, verdict=verdict_of(record, number))
        return self.fetch(record, number)

    def fetch(self, record: ChampionRecord, number: str) -> NamedBundle:
        """The bundle of a version on this machine. Raises UserError if it is not the one that was recorded."""
        model, version = self.wanted.model, record.versions[number]
        period = record.log.champion_period
        promoted = period.entry.manifest if period and period.version == number else None
        if None not in (promoted, version.manifest) and promoted != version.manifest:
            raise UserError(f"{model} version {number}: expected the bundle that became champion, found another")
        folder = bundle_folder(self.root, model, number, version)
        run = read_run_record(self.root, model, number)
        digest = version.manifest or manifest_digest(folder)
        return NamedBundle(str(folder), digest, model, number, verdict_of(record, number), run.gate, run.card)

    def hand_over(self, handover: Handover) -> None:
        """Write the handover for the workers, and keep what is served for the next start."""
        if handover.served != self.handover.served and handover.served is not None:
            write_handover(self.last, handover)
        self.handover = handover
        write_handover(self.path, handover)

    def note(self, line: str) -> None:
        """Print a line about a fault once."""
        if line and line != self.noted:
            print_note(line)
        self.noted = line

    def follow(self, seconds: float, stopped: threading.Event) -> None:
        """Look every ``seconds`` until ``stopped`` is set."""
        while not stopped.wait(seconds):
            try:
                self.look()
            except OSError as error:
                self.note(f"serve: expected to write {self.path.name}, found {type(error).__name__}")


def choose(record: ChampionRecord, model: str, wanted: str) -> str:
    """The number of the wanted version; the champion is whom the promotion log names, whatever the alias says.

    Raises UserError if there is none.
    """
    if not record.versions:
        raise UserError(f"{model}: expected a registered version, found none; run `gleaner run`")
    if wanted == CHAMPION and record.log.periods:
        champion = record.log.champion
        if champion is None or champion not in record.versions:
            raise UserError(f"{model}: expected a champion, found that it was removed; see `gleaner history`")
        return champion
    return choose_version(model, {number: version.aliases for number, version in record.versions.items()}, wanted)


def is_known(former: NamedBundle | None, record: ChampionRecord, number: str) -> bool:
    """Whether the version is the one that was found before."""
    return former is not None and (former.number, former.digest) == (number, record.versions[number].manifest)


def verdict_of(record: ChampionRecord, number: str) -> dict[str, Any] | None:
    """How a version became champion; None for one that is not champion."""
    period = record.log.champion_period
    if period is None or period.version != number:
        return None
    return describe_entry(period.entry)


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An entry of the promotion log for people and programs."""
    described: dict[str, Any] = {
        "entry": entry.number,
        "action": entry.action,
        "reason": entry.reason,
        "at": entry.at.isoformat(timespec="seconds"),
    }
    if entry.verdict is not None:
        scores = ("metric", "champion_score", "challenger_score", "low", "margin")
        described |= {name: getattr(entry.verdict, name) for name in scores}
    return described


def describe(error: Exception) -> str:
    """One line about an error of the registry, without a password."""
    if isinstance(error, UserError):
        return str(error)
    return known_cause(error) or f"expected the registry to answer, found {type(error).__name__}"
