"""Makes an earlier champion the champion again, as a Prefect task that writes an entry of the promotion log."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion.ledger import Action
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, champion_alias, lookup, promotion_log
from tasks.registry.champion_alias import ChampionState
from tasks.registry.retirement import require_in_use
from tasks.registry.store import connect


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
    client, model = connect(root), params.registry.model
    state = champion_alias.load_champion_state(client, model)
    target = choose_target(model, state, to)
    with TemporaryDirectory() as folder:
        bundles.fetch_bundle(require_in_use(lookup.get_version(client, model, target)), Path(folder))
    champion, planned = str(state.ledger.champion), plan_entry(model, state, target)
    draft = promotion_log.draft_entry(planned.action, target, champion, why or planned.default_reason, flow_run)
    entered, ledger = promotion_log.append(client, model, draft)
    new_faults = (fault for fault in ledger.faults if fault not in state.ledger.faults)
    notes = (*champion_alias.list_notes(state), *new_faults)
    message = planned.message
    if ledger.champion != target:
        winner = ledger.periods[-1].entry
        message = f"Lost: meanwhile version {winner.version} became champion (entry {winner.number}: {winner.action})"
    return Rollback(ledger.champion == target, model, str(ledger.champion), champion, message, entered.number, notes)


def choose_target(model: str, state: ChampionState, to: str | None) -> str:
    """The version to go back to. Raises UserError if it never was champion, or is champion now."""
    ledger = state.ledger
    if ledger.champion is None:
        raise UserError(f"{model}: expected a champion to roll back, found none; `gleaner run` registers the first")
    if to is None:
        if state.alias_moved:
            raise UserError(champion_alias.describe_moved_alias(model, state))
        if len(ledger.rollback_path) < 2:
            raise UserError(f"{model}: expected a champion before version {ledger.champion}, found none to go back to")
        return ledger.rollback_path[-2]
    if to == ledger.champion and not state.alias_moved:
        raise UserError(f"{model}: expected another version than {to}, which is the champion; see `gleaner history`")
    served = {period.version for period in ledger.periods}
    if to not in served and to != state.alias:
        known = ", ".join(sorted(served, key=int))
        raise UserError(f"{model}: expected a version that was champion ({known}), found {to}; try `gleaner promote`")
    return to


def plan_entry(model: str, state: ChampionState, target: str) -> PlannedEntry:
    """The entry that makes ``target`` champion: an adoption if the alias was moved there, otherwise a rollback."""
    champion = state.ledger.champion
    if state.alias_moved and target == state.alias:
        kept = f"Kept: {model} version {target} is champion, where the alias had been set by hand"
        return PlannedEntry("adopted", f"the alias had been set to version {target} by hand", kept)
    if target == champion:
        put_back = f"Put back: the alias champion stands at {model} version {target} again"
        return PlannedEntry("rollback", f"the alias had been set to {state.alias or 'nothing'} by hand", put_back)
    done = f"Rolled back: {model} version {target} is champion, after version {champion}"
    return PlannedEntry("rollback", "no reason given", done)
