"""The decision on a version while there is no champion to compare it with, as a Prefect task."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion import approval
from pipeline.policies.promotion.entry import Entry
from pipeline.policies.promotion.ledger import Ledger
from tasks.prefect_states.user_error import as_failed_state
from tasks.promotion_outcome import Promotion, PromotionOutcome
from tasks.registry import champion_alias, lookup, versions
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import connect


@task(name="first champion", task_run_name="first champion", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def promote_first(root: Path, params: Params, number: str | None, flow_run: str) -> Promotion | None:
    """Make a version the first champion, or have it wait for approval; None if there is a champion to compare with.

    ``number`` is its number, by default the one with the alias challenger. Every registered version passed the gate.
    Raises UserError if a person has to say first who is champion, or if there is no such version, or it was
    retired.
    """
    client, model = connect(root), params.registry.model
    versions.finish_registrations(client, model, params.promotion)
    state = champion_alias.load_champion_state(client, model)
    if fault := champion_alias.describe_unsettled_champion(client, model, state):
        raise UserError(fault)
    if state.ledger.champion is not None:
        return None
    wanted = number or lookup.version_at_alias(client, model, "challenger")
    if wanted is None:
        raise UserError(f"{model}: expected a champion to compare with, found none; `gleaner run` registers the first")
    version = lookup.get_version(client, model, wanted)
    ledger = champion_alias.enter_first_champion(
        client, model, version.number, flow_run, params.promotion, ask_again=number is not None
    )
    outcome, entry, message = describe_first(ledger, version)
    return Promotion(
        outcome,
        model,
        version.number,
        ledger.champion,
        message,
        entry.number,
        verdict=None,
        notes=champion_alias.list_notes(state),
    )


def describe_first(ledger: Ledger, version: RegisteredVersion) -> tuple[PromotionOutcome, Entry, str]:
    """The outcome for a version, the entry that it follows from, and the message.

    Raises UserError if another version became champion first.
    """
    request, period = ledger.find_request(version.identity), ledger.champion_period
    if period is not None and period.entry.is_about(version.identity):
        return "promoted", period.entry, f"Promoted: {version.title} is champion; {period.entry.reason}"
    if request is not None and request.closed_by is None:
        described = approval.describe_request(request.entry)
        return "waiting", request.entry, f"Waiting: {described}; there is no champion until then"
    if request is not None and request.closed_by is not None and request.closed_by.action == "reject":
        rejection = request.closed_by
        message = (
            f"Refused: {rejection.by} rejected version {version.number} ({rejection.reason}); "
            f"`gleaner promote --version {version.number}` asks again"
        )
        return "refused", rejection, message
    raise UserError(f"{version.title}: expected no champion, found that version {ledger.champion} became it; run again")
