"""An earlier champion is champion again: as a Prefect task, entered in the promotion log."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion.ledger import Action
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, lookup, promotion_log
from tasks.registry.store import connect


@dataclass(frozen=True)
class Rollback:
    """What became of a rollback; ``version`` is champion now, ``previous`` was before."""

    done: bool
    model: str
    version: str
    previous: str
    said: str  # one line
    entry: int  # of the promotion log
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 rolled back, 1 lost to another who moved the champion first."""
        return 0 if self.done else 1


@task(name="roll back", task_run_name="roll back", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def move_back(root: Path, params: Params, to: str | None, why: str, flow_run: str) -> Rollback:
    """Enter in the log that an earlier champion is champion again, after every byte of its bundle was checked."""
    client, model = connect(root), params.registry.model
    found = promotion_log.standing(client, model)
    target = goal(model, found, to)
    with TemporaryDirectory() as folder:
        bundles.fetch(lookup.numbered(client, model, target), Path(folder))
    champion, (action, default, said) = str(found.ledger.champion), kind(model, found, target)
    entered, ledger = promotion_log.append(
        client, model, promotion_log.entry(action, target, champion, why or default, flow_run)
    )
    notes = (*promotion_log.notes(found), *(fault for fault in ledger.faults if fault not in found.ledger.faults))
    if ledger.champion != target:
        winner = ledger.reigns[-1].entry
        said = f"Lost: meanwhile version {winner.version} became champion (entry {winner.number}: {winner.action})"
    return Rollback(ledger.champion == target, model, str(ledger.champion), champion, said, entered.number, notes)


def goal(model: str, found: promotion_log.Standing, to: str | None) -> str:
    """The version to go back to; UserError when it never was champion, or is."""
    ledger = found.ledger
    if ledger.champion is None:
        raise UserError(f"{model}: expected a champion to roll back, found none; `gleaner run` registers the first")
    if to is None:
        if found.moved_by_hand:
            raise UserError(promotion_log.by_hand(model, found))
        if len(ledger.line) < 2:
            raise UserError(f"{model}: expected a champion before version {ledger.champion}, found none to go back to")
        return ledger.line[-2]
    if to == ledger.champion and not found.moved_by_hand:
        raise UserError(f"{model}: expected another version than {to}, which is the champion; see `gleaner history`")
    served = {reign.version for reign in ledger.reigns}
    if to not in served and to != found.alias:
        known = ", ".join(sorted(served, key=int))
        raise UserError(f"{model}: expected a version that was champion ({known}), found {to}; try `gleaner promote`")
    return to


def kind(model: str, found: promotion_log.Standing, target: str) -> tuple[Action, str, str]:
    """The action, the reason where the user gives none, and what to say of it."""
    champion = found.ledger.champion
    if found.moved_by_hand and target == found.alias:
        kept = f"Kept: {model} version {target} is champion, where the alias had been set by hand"
        return "adopted", f"the alias had been set to version {target} by hand", kept
    if target == champion:
        back = f"Put back: the alias champion stands at {model} version {target} again"
        return "rollback", f"the alias had been set to {found.alias or 'nothing'} by hand", back
    done = f"Rolled back: {model} version {target} is champion, after version {champion}"
    return "rollback", "no reason given", done
