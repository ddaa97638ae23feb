"""Makes an earlier champion the champion again, as a Prefect task that writes an entry of the promotion log."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion.entry import Action
from pipeline.policies.promotion.ledger import Ledger
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, champion_alias, lookup, promotion_log
from tasks.registry.champion_alias import ChampionState
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.retirement import is_retired, require_in_use
from tasks.registry.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Rollback:
    """The outcome of a rollback. ``version`` is the champion now, ``previous`` was it before."""

    done: bool
    model: str
    version: str
    previous: str
    message: str  # one line
    entry: int  # of the promotion log
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if rolled back, 1 if somebody else moved the champion first."""
        return 0 if self.done else 1


class PlannedEntry(NamedTuple):
    """The log entry of a rollback, and the message if it takes effect."""

    action: Action
    default_reason: str  # if the user gives none
    message: str


@task(name="roll back", task_run_name="roll back", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def roll_back(root: Path, params: Params, to: str | None, why: str, flow_run: str) -> Rollback:
    """Check every byte of an earlier champion's bundle, and enter in the log that it is champion again.

    ``to`` is a version number; None means the champion before. Raises UserError if there is no such champion, or if its
    bundle was changed.
    """
    client, model, why = connect(root), params.registry.model, promotion_log.check_reason("--reason", why)
    state = champion_alias.load_champion_state(client, model)
    target, skipped = choose_target(client, model, state, to)
    require_in_use(target)
    check_bundle(client, model, state.ledger, target)
    planned = plan_entry(model, state, target.number)
    reason = "; ".join(filter(None, [why or planned.default_reason, skipped]))
    draft = promotion_log.draft_entry(planned.action, target.identity, state.ledger, reason, flow_run)
    entered, ledger = promotion_log.append(client, model, draft)
    new_faults = (fault for fault in ledger.faults if fault not in state.ledger.faults)
    notes = (*champion_alias.list_notes(state), *([skipped] if skipped else []), *new_faults)
    done, message = ledger.champion == target.number, planned.message
    if not done:
        change = ledger.periods[-1].removal or ledger.periods[-1].entry
        event = "was removed" if change.action == "removed" else "became champion"
        message = f"Lost: meanwhile version {change.version} {event} (entry {change.number}: {change.action})"
    return Rollback(done, model, str(ledger.champion), str(state.ledger.champion), message, entered.number, notes)


def choose_target(
    client: "MlflowClient", model: str, state: ChampionState, to: str | None
) -> tuple[RegisteredVersion, str]:
    """The version to go back to, and which earlier champions were skipped, in words.

    Raises UserError if it never was champion, is champion now, or is gone from the registry.
    """
    ledger = state.ledger
    if not ledger.periods and state.alias is None:
        raise UserError(f"{model}: expected a champion to roll back, found none; `gleaner run` registers the first")
    earlier = champion_alias.existing_earlier_champions(client, model, ledger)
    if to is None:
        if state.alias_moved:
            raise UserError(champion_alias.describe_moved_alias(model, state))
        if not earlier:
            raise UserError(describe_no_target(model, ledger))
        gone = itertools.takewhile(lambda entry: not entry.is_about(earlier[0].identity), ledger.earlier_champions)
        numbers = ", ".join(dict.fromkeys(entry.version for entry in gone))
        return earlier[0], f"skipped {numbers}, which was deleted from the registry or retired" if numbers else ""
    if to == ledger.champion and not state.alias_moved:
        raise UserError(f"{model}: expected another version than {to}, which is the champion; see `gleaner history`")
    version = lookup.find_number(client, model, to)
    served = version and any(period.entry.is_about(version.identity) for period in ledger.periods)
    if version is not None and (served or to == state.alias):
        return version, ""
    raise UserError(describe_wrong_target(client, model, ledger, to))


def check_bundle(client: "MlflowClient", model: str, ledger: Ledger, target: RegisteredVersion) -> None:
    """Check every byte of a version's bundle. Raises UserError that names another earlier champion, or another way."""
    try:
        with TemporaryDirectory() as folder:
            bundles.fetch_bundle(target, Path(folder))
    except UserError as error:
        earlier = champion_alias.existing_earlier_champions(client, model, ledger)
        others = [version.number for version in earlier if version.number != target.number]
        way_on = f"`gleaner rollback --to N` goes to another one ({', '.join(others)})" if others else ""
        if not others and ledger.champion is None:
            way_on = f"if it is lost, delete version {target.number} in MLflow: then the next version is the first"
        raise UserError("; ".join(filter(None, [str(error), way_on]))) from None


def describe_no_target(model: str, ledger: Ledger) -> str:
    """The error message if there is no champion to go back to."""
    if not ledger.earlier_champions and ledger.champion is not None:
        return f"{model}: expected a champion before version {ledger.champion}, found none to go back to"
    gone = ", ".join(dict.fromkeys(entry.version for entry in ledger.earlier_champions))
    found = f"that all were deleted or retired (version {gone})" if gone else "none"
    way_on = "`gleaner run` or `gleaner promote --version N` makes another one champion"
    return (
        f"{model}: expected an earlier champion in the registry, found {found}; "
        f"{'the champion stays' if ledger.champion else way_on}"
    )


def describe_wrong_target(client: "MlflowClient", model: str, ledger: Ledger, to: str) -> str:
    """The error message for a version that cannot be gone back to."""
    versions = [lookup.find_number(client, model, number) for number in {period.version for period in ledger.periods}]
    known = [
        version.number
        for version in versions
        if version
        and not is_retired(version)
        and any(period.entry.is_about(version.identity) for period in ledger.periods)
    ]
    expected = f"{model}: expected a version that was champion ({', '.join(sorted(known, key=int)) or 'none is left'})"
    if all(period.version != to for period in ledger.periods):
        return f"{expected}, found {to}; try `gleaner promote`"
    if lookup.find_number(client, model, to) is None:
        return f"{expected}, found {to}, which was deleted from the registry; see `gleaner history`"
    return (
        f"{expected}, found {to}, which is another version than the champion of that number; try "
        f"`gleaner promote --version {to}`"
    )


def plan_entry(model: str, state: ChampionState, target: str) -> PlannedEntry:
    """The entry that makes ``target`` champion: an adoption if the alias was moved there, otherwise a rollback."""
    champion = state.ledger.champion
    if state.alias_moved and target == state.alias:
        kept = f"Kept: {model} version {target} is champion, where the alias had been set by hand"
        return PlannedEntry("adopted", f"the alias had been set to version {target} by hand", kept)
    if target == champion:
        put_back = f"Put back: the alias champion stands at {model} version {target} again"
        return PlannedEntry("rollback", f"the alias had been set to {state.alias or 'nothing'} by hand", put_back)
    after = f"after version {champion}" if champion else "after a time without a champion"
    done = f"Rolled back: {model} version {target} is champion, {after}"
    return PlannedEntry("rollback", "no reason given", done)
