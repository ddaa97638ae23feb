"""The verdict on a challenger as Prefect tasks: judge, enter it in the promotion log, let the alias follow."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.core.stage import replace as write_whole
from pipeline.policies import promotion
from pipeline.policies.promotion import Case, Verdict
from pipeline.policies.promotion.ledger import Entry, Judged, Ledger
from tasks.compare import Pair
from tasks.git.lineage import digest
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import promotion_log, runs
from tasks.registry.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRIES = 5  # judgements, each made anew because another one came first
PAGE = "promotion/promotion.html"
LATEST = "promotion/promotion.json"  # artifact of the challenger's run: its last verdict

Outcome = Literal["promoted", "refused", "insufficient", "lost"]
OUTCOMES: dict[str, Outcome] = {"promote": "promoted", "refuse": "refused", "insufficient": "insufficient"}


@dataclass(frozen=True)
class Promotion:
    """What became of a challenger; ``champion`` is the version that is champion now."""

    outcome: Outcome
    model: str
    version: str
    champion: str
    said: str  # one line
    entry: int | None  # of the promotion log
    verdict: Verdict | None
    notes: tuple[str, ...] = ()
    again: bool = False  # the verdict is a stored one, of the same pair, rows and params
    page: Path | None = None  # the comparison as HTML

    @property
    def exit_code(self) -> int:
        """0 promoted, 1 refused, insufficient or lost to another promoter."""
        return 0 if self.outcome == "promoted" else 1


@task(name="judge", task_run_name="judge", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def judge(root: Path, params: Params, pair: Pair, case: Case, flow_run: str) -> Promotion:
    """The verdict, entered in the promotion log; a promotion takes effect by being the first.

    The same pair on the same rows by the same params is not judged again: its verdict is told once more. Where another
    judgement was entered in between, the test rows are more worn than this one took them for, and it is made again.
    """
    client, key = connect(root), digest(basis(case, params))
    for _ in range(TRIES):
        ledger = promotion_log.read(client, pair.model)
        if ledger.champion != pair.champion.number:
            return lost(pair, ledger, None, None)
        earlier = ledger.known(key)
        if earlier is not None:
            return told_again(client, pair, ledger, earlier, flow_run)
        verdict, judged = verdict_on(case, key, ledger, params)
        runs.store_verdict(client, pair.challenger.run, promotion.to_json(verdict), judged.artifact)
        entered, ledger = enter(client, pair, ledger, reason(verdict), flow_run, judged)
        if verdict.status != "promote" or ledger.took_effect(entered):
            runs.store_verdict(client, pair.challenger.run, promotion.to_json(verdict), LATEST)
            return settled(pair, entered, ledger, verdict)
        if ledger.champion != pair.champion.number:
            return lost(pair, ledger, entered, verdict)
    raise UserError(f"{pair.challenger.title}: expected a turn to be judged, found others first {TRIES} times; retry")


def basis(case: Case, params: Params) -> list[Any]:
    """All that a verdict depends on, but for the wear of the test rows."""
    models = [(one.version, one.manifest) for one in (case.champion, case.challenger)]
    limits = promotion.in_force(params.promotion, params.gate, params.fairness)
    return [models, case.rows.digest, sorted(case.table["id"].tolist()), limits]


def verdict_on(case: Case, key: str, ledger: Ledger, params: Params) -> tuple[Verdict, Judged]:
    """The verdict at the wear that the log tells of, and what the log keeps of it."""
    sketch = promotion.sketch(case.table["id"].tolist())
    judgement = ledger.judgements(sketch, params.promotion.same_test_rows) + 1
    verdict = promotion.judge(case, judgement, params.promotion, params.gate, params.fairness)
    judged = Judged(
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
    return verdict, judged


def enter(
    client: "MlflowClient", pair: Pair, ledger: Ledger, why: str, flow_run: str, judged: Judged
) -> tuple[Entry, Ledger]:
    """Write the verdict into the log."""
    draft = promotion_log.entry(judged.status, pair.challenger.number, ledger.champion, why, flow_run, judged)
    return promotion_log.append(client, pair.model, draft)


def reason(verdict: Verdict) -> str:
    """Why, in a line: the first rule that stood in the way, or the lead."""
    wanted = {"refuse": "fail: ", "insufficient": "insufficient: "}.get(verdict.status)
    if wanted is not None:
        return next(line.removeprefix(wanted) for line in verdict.reasons if line.startswith(wanted))
    lead = verdict.lead
    return (
        f"{verdict.metric} {lead.challenger:.4f} against {lead.champion:.4f} on {verdict.rows.compared} test rows, "
        f"lead at least {lead.low:+.4f}"
    )


def told_again(client: "MlflowClient", pair: Pair, ledger: Ledger, earlier: Entry, flow_run: str) -> Promotion:
    """The stored verdict of the same case; one that had promoted does so again, but never unasked after a rollback."""
    if earlier.judged is None:
        raise ValueError(f"entry {earlier.number} is no judgement")
    verdict = promotion.from_json(runs.stored_verdict(client, pair.challenger.run, earlier.judged.artifact))
    if verdict.status != "promote":
        return replace(settled(pair, earlier, ledger, verdict), again=True)
    number, back = pair.challenger.number, ledger.set_aside(pair.challenger.number)
    if back is not None and not pair.named:
        said = (
            f"Refused: version {number} was rolled back on {back.at:%Y-%m-%d %H:%M} UTC ({back.reason}); "
            f"`gleaner promote --version {number}` promotes it all the same"
        )
        return Promotion("refused", pair.model, number, str(ledger.champion), said, None, verdict, pair.notes, True)
    judged = replace(earlier.judged, again=earlier.number)
    entered, ledger = enter(client, pair, ledger, earlier.reason, flow_run, judged)
    if not ledger.took_effect(entered):
        return lost(pair, ledger, entered, verdict)
    return replace(settled(pair, entered, ledger, verdict), again=True)


def settled(pair: Pair, entered: Entry, ledger: Ledger, verdict: Verdict) -> Promotion:
    """How a verdict ended that no other promoter stood in the way of."""
    outcome, number, champion = OUTCOMES[verdict.status], pair.challenger.number, str(ledger.champion)
    said = f"{outcome.capitalize()}: version {champion} stays champion; {entered.reason}"
    if outcome == "promoted":
        said = f"Promoted: {pair.challenger.title} is champion, after version {pair.champion.number}"
    return Promotion(outcome, pair.model, number, champion, said, entered.number, verdict, pair.notes)


def lost(pair: Pair, ledger: Ledger, entered: Entry | None, verdict: Verdict | None) -> Promotion:
    """Another promoter, or a rollback, was first."""
    winner, number = ledger.reigns[-1].entry, pair.challenger.number
    said = (
        f"Lost: version {number} was to follow version {pair.champion.number}, but meanwhile version {winner.version} "
        f"became champion (entry {winner.number}: {winner.action}); run again to challenge that one"
    )
    at = entered.number if entered else None
    return Promotion("lost", pair.model, number, str(ledger.champion), said, at, verdict, pair.notes)


@task(name="set alias", task_run_name="set alias", cache_policy=NO_CACHE, persist_result=False)
def set_alias(root: Path, model: str) -> str:
    """Let the alias show what the log says; the champion that it shows then."""
    return str(promotion_log.sync_champion_alias(connect(root), model).champion)


@task(name="page", task_run_name="page", cache_policy=NO_CACHE, persist_result=False)
def store_page(root: Path, pair: Pair, found: Promotion, drift: list[dict[str, Any]] | None = None) -> Path | None:
    """The page on a verdict that was entered, stored with the version and left in data/scratch; returns its place."""
    from pipeline.pages.promotion_page import Shift, render

    if found.verdict is None or found.outcome == "lost":
        return None
    made_of = {"champion": pair.champion.made_of, "challenger": pair.challenger.made_of}
    html = render(found.verdict, made_of, None if drift is None else [Shift(**answer) for answer in drift])
    connect(root).log_text(pair.challenger.run, html, PAGE)
    place = Paths(root).scratch("promotion") / f"version-{found.version}.html"
    write_whole(place, lambda part: part.write_text(html, encoding="utf-8"))
    return place


@task(name="mark", task_run_name="mark", cache_policy=NO_CACHE, persist_result=False)
def mark(root: Path, promotion: Promotion) -> None:
    """Tags of the version that tell what became of it."""
    tags = {"gleaner.promotion": promotion.outcome, "gleaner.promotion_entry": str(promotion.entry or "")}
    promotion_log.tag(connect(root), promotion.model, promotion.version, tags)
