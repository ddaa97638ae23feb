"""The decision on a challenger, as Prefect tasks: decide, write an entry of the promotion log, and move the alias."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.params import Promotion as Settings
from pipeline.core.stage import Paths, write_atomically
from pipeline.policies import promotion
from pipeline.policies.promotion import PromotionCase, PromotionVerdict
from pipeline.policies.promotion.entry import AWAITING, Entry, VerdictRecord
from pipeline.policies.promotion.ledger import Ledger
from tasks.compare import Pair
from tasks.git.lineage import json_digest
from tasks.prefect_states.user_error import as_failed_state
from tasks.promotion_outcome import Promotion, to_lost_promotion, to_promotion
from tasks.registry import champion_alias, promotion_log, runs
from tasks.registry.store import connect, set_version_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_ATTEMPTS = 5  # to decide; an attempt is lost if another verdict is entered meanwhile
PAGE_ARTIFACT = "promotion/promotion.html"
LATEST_VERDICT_ARTIFACT = "promotion/promotion.json"  # of the challenger's run


@task(name="judge", task_run_name="judge", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def decide_promotion(root: Path, params: Params, pair: Pair, case: PromotionCase, flow_run: str) -> Promotion:
    """Decide, and enter the verdict in the promotion log. A promotion takes effect if its entry is the first.

    The same pair on the same rows with the same params is decided once, and then its stored verdict is used again.
    If another verdict was entered meanwhile, the test rows were used once more than this decision assumed, so it is
    made again. With ``promotion.approval: required`` a promotion waits for a person instead of taking effect.
    Raises UserError if another verdict is entered meanwhile `MAX_ATTEMPTS` times.
    """
    client, key, settings = connect(root), json_digest(verdict_inputs(case, params)), params.promotion
    for _ in range(MAX_ATTEMPTS):
        ledger = promotion_log.read(client, pair.model)
        if not is_expected_champion(pair, ledger):
            return to_lost_promotion(pair, ledger, None, None)
        earlier = ledger.find_judgement(key)
        stored = None if earlier is None else load_stored_verdict(client, pair, earlier)
        if earlier is not None and stored is not None:
            return reuse_verdict(client, pair, ledger, earlier, stored, flow_run, settings)
        verdict, record = make_verdict(case, key, ledger, params)
        runs.store_verdict(client, pair.challenger.run, promotion.to_json(verdict), record.artifact)
        entered, ledger = append_verdict(client, pair, ledger, main_reason(verdict), flow_run, record, settings)
        if verdict.status != "promote" or ledger.stands(entered):
            runs.store_verdict(client, pair.challenger.run, promotion.to_json(verdict), LATEST_VERDICT_ARTIFACT)
            return to_promotion(pair, entered, ledger, verdict)
        if not is_expected_champion(pair, ledger):
            return to_lost_promotion(pair, ledger, entered, verdict)
    raise UserError(
        f"{pair.challenger.title}: expected a turn to be judged, found others first {MAX_ATTEMPTS} times; retry"
    )


def is_expected_champion(pair: Pair, ledger: Ledger) -> bool:
    """Whether the champion that the challenger was compared with is still champion."""
    period = ledger.champion_period
    return period is not None and period.entry.is_about(pair.champion.identity)


def verdict_inputs(case: PromotionCase, params: Params) -> list[Any]:
    """Everything that a verdict depends on, except how often the test rows were used."""
    models = [(model.version, model.manifest) for model in (case.champion, case.challenger)]
    limits = promotion.limits_in_force(params.promotion, params.gate, params.fairness)
    return [models, case.rows.digest, sorted(case.table["id"].tolist()), limits]


def make_verdict(
    case: PromotionCase, key: str, ledger: Ledger, params: Params
) -> tuple[PromotionVerdict, VerdictRecord]:
    """The verdict, given how often the log says that the test rows were used, and the record of it for the log."""
    sketch = promotion.sketch_rows(case.table["id"].tolist())
    judgement = ledger.count_judgements(sketch, params.promotion.same_test_rows) + 1
    verdict = promotion.decide_promotion(case, judgement, params.promotion, params.gate, params.fairness)
    record = VerdictRecord(
        key=key,
        status=verdict.status,
        artifact=f"promotion/{key[:16]}-{judgement}.json",
        rows=verdict.rows.digest,
        sketch=tuple(sketch),
        same_rows=params.promotion.same_test_rows,
        judgement=judgement,
        after=ledger.last_judgement,
        metric=verdict.metric,
        champion_score=verdict.lead.champion,
        challenger_score=verdict.lead.challenger,
        low=verdict.lead.low,
        margin=verdict.margin,
    )
    return verdict, record


def append_verdict(
    client: "MlflowClient",
    pair: Pair,
    ledger: Ledger,
    reason: str,
    flow_run: str,
    record: VerdictRecord,
    settings: Settings,
) -> tuple[Entry, Ledger]:
    """Write the verdict into the log, and return the entry with the log up to then."""
    draft = promotion_log.draft_entry(record.status, pair.challenger.identity, ledger, reason, flow_run, record)
    if record.status == "promote" and settings.approval == "required":
        draft = replace(draft, action=AWAITING, approval_days=settings.approval_days, page=PAGE_ARTIFACT)
    return promotion_log.append(client, pair.model, draft)


def main_reason(verdict: PromotionVerdict) -> str:
    """The reason in one line: the first rule that was not met, or else the lead."""
    prefix = {"refuse": "fail: ", "insufficient": "insufficient: "}.get(verdict.status)
    if prefix is not None:
        return next(line.removeprefix(prefix) for line in verdict.reasons if line.startswith(prefix))
    lead = verdict.lead
    return (
        f"{verdict.metric} {lead.challenger:.4f} against {lead.champion:.4f} on {verdict.rows.compared} test rows, "
        f"lead at least {lead.low:+.4f}"
    )


def load_stored_verdict(client: "MlflowClient", pair: Pair, earlier: Entry) -> PromotionVerdict | None:
    """The verdict of an earlier entry; None if it is not stored any more, so that the case has to be judged anew."""
    assert earlier.verdict is not None
    content = runs.find_verdict(client, earlier.run or pair.challenger.run, earlier.verdict.artifact)
    try:
        return None if content is None else promotion.from_json(content)
    except ValidationError:
        return None


def reuse_verdict(
    client: "MlflowClient",
    pair: Pair,
    ledger: Ledger,
    earlier: Entry,
    verdict: PromotionVerdict,
    flow_run: str,
    settings: Settings,
) -> Promotion:
    """Apply the stored verdict of the same case. A version that was promoted before is promoted again.

    After a rollback or a rejection that happens only if the user names the version by its number. The verdict on
    another version of the same bundle, which was registered before it, is entered for this one, too.
    """
    assert earlier.verdict is not None
    record = replace(earlier.verdict, again=earlier.number)
    if verdict.status != "promote":
        if not any(entry.verdict is not None for entry in ledger.entries_about(pair.challenger.identity)):
            earlier, ledger = append_verdict(client, pair, ledger, earlier.reason, flow_run, record, settings)
        return replace(to_promotion(pair, earlier, ledger, verdict), reused=True)
    request = ledger.find_request(pair.challenger.identity)
    if settings.approval == "required" and request is not None and request.is_open(datetime.now(UTC)):
        return replace(to_promotion(pair, request.entry, ledger, verdict), reused=True)
    if not pair.chosen_by_number and (objection := find_objection(pair, ledger)):
        return Promotion(
            "refused", pair.model, pair.challenger.number, ledger.champion, objection, None, verdict, pair.notes, True
        )
    entered, ledger = append_verdict(client, pair, ledger, earlier.reason, flow_run, record, settings)
    if not ledger.stands(entered):
        return to_lost_promotion(pair, ledger, entered, verdict)
    return replace(to_promotion(pair, entered, ledger, verdict), reused=True)


def find_objection(pair: Pair, ledger: Ledger) -> str | None:
    """Why a version is not promoted again unless a person names it: it was rolled back or rejected; else None."""
    number = pair.challenger.number
    anyway = f"`gleaner promote --version {number}` promotes it all the same"
    request = ledger.find_request(pair.challenger.identity)
    rejection = request.closed_by if request and request.closed_by and request.closed_by.action == "reject" else None
    if rejection is not None:
        return (
            f"Refused: {rejection.by} rejected version {number} on {rejection.at:%Y-%m-%d %H:%M} UTC "
            f"({rejection.reason}); {anyway}"
        )
    back = ledger.find_rollback(pair.challenger.identity)
    if back is None:
        return None
    return f"Refused: version {number} was rolled back on {back.at:%Y-%m-%d %H:%M} UTC ({back.reason}); {anyway}"


@task(name="set alias", task_run_name="set alias", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def set_champion_alias(root: Path, model: str) -> str:
    """Move the alias to the champion of the promotion log, and return that version's number."""
    return str(champion_alias.sync_champion_alias(connect(root), model).champion)


@task(name="page", task_run_name="page", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def store_page(root: Path, pair: Pair, decided: Promotion, drift: list[dict[str, Any]] | None = None) -> Path | None:
    """Store the page about a verdict with the version and in data/scratch, and return its path; None if there is none.

    A promotion that was lost to another one has no page.
    """
    from pipeline.pages.promotion_page import Shift, render

    if decided.verdict is None or decided.outcome == "lost":
        return None
    lineage = {"champion": pair.champion.lineage, "challenger": pair.challenger.lineage}
    html = render(decided.verdict, lineage, None if drift is None else [Shift(**answer) for answer in drift])
    connect(root).log_text(pair.challenger.run, html, PAGE_ARTIFACT)
    path = Paths(root).scratch("promotion") / f"version-{decided.version}.html"
    write_atomically(path, lambda part: part.write_text(html, encoding="utf-8"))
    return path


@task(name="mark", task_run_name="mark", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def tag_version(root: Path, decided: Promotion) -> None:
    """Tag the version with the outcome of its promotion."""
    tags = {"gleaner.promotion": decided.outcome, "gleaner.promotion_entry": str(decided.entry or "")}
    set_version_tags(connect(root), decided.model, decided.version, tags)
