"""The alias `champion` of the registered model: read, moved to the champion of the promotion log, and repaired.

The promotion log decides who is champion, and the alias only shows it. An entry is written first. Then the alias is set
until both agree. So a promotion that is killed in between leaves nothing that the next command does not repair.
"""

from dataclasses import dataclass
from functools import partial

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.policies.promotion.ledger import Ledger
from tasks.registry import promotion_log
from tasks.registry.store import retry_while_busy

ALIAS = "champion"
ALIAS_ENTRY_TAG = "gleaner.champion"  # of the model: the number of the entry that the alias was last set for


@dataclass(frozen=True)
class ChampionState:
    """The promotion log, the version that has the alias, and what was repaired."""

    ledger: Ledger
    alias: str | None
    repaired: str = ""

    @property
    def alias_moved(self) -> bool:
        """Whether somebody moved the alias without an entry in the log."""
        return self.alias != self.ledger.champion


def load_champion_state(client: MlflowClient, model: str) -> ChampionState:
    """The log and the alias, after the repair of a promotion that was interrupted between the two.

    If there is no log but a champion, from an older Gleaner or a restored store, it is entered in the log.
    """
    ledger = promotion_log.read(client, model)
    alias, alias_entry = read_alias(client, model)
    if not ledger.periods and alias is not None:
        reason = f"version {alias} was champion before there was a promotion log"
        promotion_log.append(client, model, promotion_log.draft_entry("adopted", alias, None, reason, ""))
        return ChampionState(sync_champion_alias(client, model), read_alias(client, model)[0], f"{reason}: entered")
    if alias != ledger.champion and alias_entry != str(ledger.champion_entry):
        sync_champion_alias(client, model)
        repaired = (
            f"the alias {ALIAS} stood at {alias or 'none'}, the promotion log says {ledger.champion}: "
            "a promotion had been cut off in between; the alias is set"
        )
        return ChampionState(promotion_log.read(client, model), read_alias(client, model)[0], repaired)
    return ChampionState(ledger, alias)


def enter_first_champion(client: MlflowClient, model: str, number: str, flow_run: str) -> Ledger:
    """Make a version champion if there is none yet: the first one that passes the gate. Returns the log."""
    state = load_champion_state(client, model)
    if state.ledger.champion is not None:
        return state.ledger
    reason = "the first version that passed the gate"
    promotion_log.append(client, model, promotion_log.draft_entry("initial", number, None, reason, flow_run))
    return sync_champion_alias(client, model)


def read_alias(client: MlflowClient, model: str) -> tuple[str | None, str | None]:
    """The version that has the alias, and the number of the entry that it was last set for; None for each if unset."""
    try:
        registered = client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None, None
    version = registered.aliases.get(ALIAS)
    return None if version is None else str(version), registered.tags.get(ALIAS_ENTRY_TAG)


def sync_champion_alias(client: MlflowClient, model: str) -> Ledger:
    """Move the alias to the log's champion until both agree, even if others move it at the same time."""
    while True:
        ledger = promotion_log.read(client, model)
        if ledger.champion is None or read_alias(client, model) == (ledger.champion, str(ledger.champion_entry)):
            return ledger
        champion, moved = ledger.champion, str(ledger.champion_entry)
        retry_while_busy(partial(client.set_registered_model_alias, model, ALIAS, champion))
        retry_while_busy(partial(client.set_registered_model_tag, model, ALIAS_ENTRY_TAG, moved))


def list_notes(state: ChampionState) -> tuple[str, ...]:
    """What was repaired, and the faults of the log, which cannot be."""
    return (*([state.repaired] if state.repaired else []), *state.ledger.faults)


def describe_moved_alias(model: str, state: ChampionState) -> str:
    """The error message if somebody moved the alias without an entry in the log."""
    champion = state.ledger.champion
    keep = f"`gleaner rollback --to {state.alias}` keeps it there, " if state.alias else ""
    return (
        f"{model}: expected the alias {ALIAS} at version {champion}, where the promotion log left it, found it at "
        f"{f'version {state.alias}' if state.alias else 'no version'}: somebody moved it by hand; {keep}"
        f"`gleaner rollback --to {champion}` puts it back"
    )
