"""The alias `champion` of the registered model: read, moved to the champion of the promotion log, and repaired.

The promotion log decides who is champion, and the alias only shows it. An entry is written first. Then the alias is set
until both agree. So a promotion that is killed in between leaves nothing that the next command does not repair.
A champion that was deleted from the registry is entered in the log as removed; then nobody is champion.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.core.params import Promotion
from pipeline.policies.promotion.entry import AWAITING, VersionIdentity
from pipeline.policies.promotion.ledger import Ledger
from tasks.registry import lookup, promotion_log
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.retirement import is_retired, require_in_use
from tasks.registry.runs import REPORT_ARTIFACT
from tasks.registry.store import retry_while_busy, user_name

ALIAS = "champion"
ALIAS_ENTRY_TAG = "gleaner.champion_entry"  # of the model: number of the log's entry that the alias was last set for
OLD_ALIAS_ENTRY_TAG = "gleaner.champion"  # its name in stores of an older Gleaner


@dataclass(frozen=True)
class ChampionState:
    """The promotion log, the version that has the alias, and what was repaired."""

    ledger: Ledger
    alias: str | None
    repaired: tuple[str, ...] = ()

    @property
    def alias_moved(self) -> bool:
        """Whether somebody moved the alias without an entry in the log."""
        return self.alias != self.ledger.champion


def load_champion_state(client: MlflowClient, model: str) -> ChampionState:
    """The log and the alias, after the repair of a promotion that was interrupted between the two.

    If there is no log but a champion, from an older Gleaner or a restored store, it is entered in the log. If the
    champion is gone from the registry, that is entered. An alias whose entry was deleted from the log stays, because
    only people know whether that version is to serve.
    """
    ledger = promotion_log.read(client, model)
    alias, alias_entry = read_alias(client, model)
    if not ledger.entries and alias is not None:
        return adopt_champion(client, model, alias, alias_entry)
    if ledger.champion is not None and find_champion(client, model, ledger) is None:
        ledger, removed = enter_removed_champion(client, model, ledger)
        return ChampionState(ledger, read_alias(client, model)[0], (removed,))
    if alias_entry is not None and all(str(entry.number) != alias_entry for entry in ledger.entries):
        lost = f"entry {alias_entry} of the promotion log, for which the alias was set, is missing: somebody deleted it"
        return ChampionState(replace(ledger, faults=(*ledger.faults, lost)), alias)
    if ledger.champion is not None and alias != ledger.champion and alias_entry != str(ledger.champion_entry):
        sync_champion_alias(client, model)
        repaired = (
            f"the alias {ALIAS} stood at {alias or 'none'}, the promotion log says {ledger.champion}: "
            "a promotion had been cut off in between; the alias is set"
        )
        return ChampionState(promotion_log.read(client, model), read_alias(client, model)[0], (repaired,))
    return ChampionState(ledger, alias)


def adopt_champion(client: MlflowClient, model: str, alias: str, alias_entry: str | None) -> ChampionState:
    """Enter the version that has the alias as the first champion of an empty log, and say whether there was a log."""
    reason = f"version {alias} was champion before there was a promotion log"
    if alias_entry is not None:
        reason = (
            f"version {alias} was champion when the promotion log was deleted, after entry {alias_entry} or later; how "
            "often test rows were used is no longer known"
        )
    draft = promotion_log.draft_entry(
        "adopted", lookup.get_version(client, model, alias).identity, Ledger((), (), ()), reason, ""
    )
    promotion_log.append(client, model, draft)
    ledger = sync_champion_alias(client, model)
    return ChampionState(ledger, read_alias(client, model)[0], (f"{reason}: entered",))


def find_champion(client: MlflowClient, model: str, ledger: Ledger) -> RegisteredVersion | None:
    """The version that the log says is champion; None if there is none, or if it is gone from the registry."""
    period = ledger.champion_period
    version = lookup.find_number(client, model, period.version) if period else None
    return version if period and version and period.entry.is_about(version.identity) else None


def enter_removed_champion(client: MlflowClient, model: str, ledger: Ledger) -> tuple[Ledger, str]:
    """Enter in the log that its champion is gone. Returns the log, and what was entered."""
    assert ledger.champion_period is not None
    entry = ledger.champion_period.entry
    other = lookup.find_number(client, model, entry.version)
    reason = f"version {entry.version} was deleted from the registry"
    if other is not None and entry.run not in (None, other.run):
        reason = f"{reason}, and run {other.run} has its number now"
    elif other is not None:
        reason = f"version {entry.version} is not the one that became champion: its bundle or its time is another"
    draft = replace(
        entry,
        action="removed",
        expected=entry.version,
        expected_run=entry.run,
        reason=reason,
        by=user_name(),
        flow_run="",
        verdict=None,
        request=None,
        approval_days=None,
        page=None,
    )
    entered, ledger = promotion_log.append(client, model, draft)
    return ledger, f"the champion is gone, {reason}: entered as entry {entered.number}"


def existing_earlier_champions(client: MlflowClient, model: str, ledger: Ledger) -> list[RegisteredVersion]:
    """The earlier champions to go back to, the last one first, without those that are gone or retired."""
    found = [(entry, lookup.find_number(client, model, entry.version)) for entry in ledger.earlier_champions]
    return [
        version
        for entry, version in found
        if version is not None and entry.is_about(version.identity) and not is_retired(version)
    ]


def enter_first_champion(
    client: MlflowClient, model: str, number: str, flow_run: str, settings: Promotion, ask_again: bool = False
) -> Ledger:
    """Make a version that passed the gate champion, if there is none and none to go back to. Returns the log.

    If ``settings.approval`` is required, the version waits for approval instead. A rejected one waits only if
    ``ask_again`` is set. Raises UserError if there is no champion and the version was retired.
    """
    state = load_champion_state(client, model)
    ledger = state.ledger
    if ledger.champion is not None or state.alias_moved or existing_earlier_champions(client, model, ledger):
        return ledger
    reason = "the first version that passed the gate"
    if ledger.periods:
        reason = "passed the gate; no earlier champion is left that may serve"
    version = require_in_use(lookup.get_version(client, model, number)).identity
    if settings.approval == "required":
        if not is_waiting(ledger, version) and (ask_again or not is_rejected(ledger, version)):
            draft = promotion_log.draft_entry(AWAITING, version, ledger, reason, flow_run)
            draft = replace(draft, approval_days=settings.approval_days, page=REPORT_ARTIFACT)
            promotion_log.append(client, model, draft)
    else:
        promotion_log.append(client, model, promotion_log.draft_entry("initial", version, ledger, reason, flow_run))
    return sync_champion_alias(client, model)


def is_waiting(ledger: Ledger, version: VersionIdentity) -> bool:
    """Whether a version waits for approval now."""
    request = ledger.find_request(version)
    return request is not None and request.is_open(datetime.now(UTC))


def is_rejected(ledger: Ledger, version: VersionIdentity) -> bool:
    """Whether the last answer to a version that waited for approval was no."""
    request = ledger.find_request(version)
    return request is not None and request.closed_by is not None and request.closed_by.action == "reject"


def read_alias(client: MlflowClient, model: str) -> tuple[str | None, str | None]:
    """The version that has the alias, and the number of the entry that it was last set for; None for each if unset."""
    try:
        registered = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None, None
    version = registered.aliases.get(ALIAS)
    entry = registered.tags.get(ALIAS_ENTRY_TAG, registered.tags.get(OLD_ALIAS_ENTRY_TAG))
    return None if version is None else str(version), entry


def sync_champion_alias(client: MlflowClient, model: str) -> Ledger:
    """Move the alias to the log's champion until both agree, even if others move it at the same time."""
    while True:
        ledger = promotion_log.read(client, model)
        if ledger.champion is None or read_alias(client, model) == (ledger.champion, str(ledger.champion_entry)):
            return ledger
        champion, moved = ledger.champion, str(ledger.champion_entry)
        retry_while_busy(partial(client.set_registered_model_alias, model, ALIAS, champion))
        retry_while_busy(partial(client.set_registered_model_tag, model, ALIAS_ENTRY_TAG, moved))
        if OLD_ALIAS_ENTRY_TAG in client.get_registered_model(model).tags:
            retry_while_busy(partial(client.delete_registered_model_tag, model, OLD_ALIAS_ENTRY_TAG))


def list_notes(state: ChampionState) -> tuple[str, ...]:
    """What was repaired, and the faults of the log, which cannot be."""
    return (*state.repaired, *state.ledger.faults)


def describe_moved_alias(model: str, state: ChampionState) -> str:
    """The error message if somebody moved the alias without an entry in the log."""
    champion = state.ledger.champion
    keep = f"`gleaner rollback --to {state.alias}` keeps it there" if state.alias else ""
    back = f"`gleaner rollback --to {champion}` puts it back" if champion else ""
    return (
        f"{model}: expected the alias {ALIAS} at {f'version {champion}' if champion else 'no version'}, where the "
        f"promotion log left it, found it at {f'version {state.alias}' if state.alias else 'no version'}: somebody "
        f"moved it by hand; {', '.join(filter(None, [keep, back]))}"
    )


def describe_unsettled_champion(client: MlflowClient, model: str, state: ChampionState) -> str | None:
    """Why a person has to say who is champion: the alias was moved, or the champion is gone; None if nobody has to.

    If the champion is gone and all earlier ones are gone or retired, nobody has to: the next version is the first.
    """
    if state.alias_moved:
        return describe_moved_alias(model, state)
    if state.ledger.champion is not None or not state.ledger.periods:
        return None
    earlier = existing_earlier_champions(client, model, state.ledger)
    removal = state.ledger.periods[-1].removal
    if not earlier or removal is None:
        return None
    return (
        f"{model}: expected a champion, found none: {removal.reason} (entry {removal.number}); `gleaner rollback` "
        f"makes version {earlier[0].number} champion again"
    )
