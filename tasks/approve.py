"""A person's yes or no to a version that waits for approval, as a Prefect task that writes an entry of the log."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.policies.promotion import approval
from pipeline.policies.promotion.ledger import ApprovalRequest
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, champion_alias, lookup, promotion_log
from tasks.registry.retirement import is_retired, require_in_use
from tasks.registry.store import connect, set_version_tags


@dataclass(frozen=True)
class Answer:
    """What a person answered to a version that waits for approval; ``by`` is the name that they gave."""

    version: str
    by: str
    reason: str
    reject: bool


@dataclass(frozen=True)
class Approval:
    """The outcome of an answer. ``champion`` is the version that is champion now; None while there is none."""

    done: bool
    model: str
    version: str
    champion: str | None
    message: str  # one line
    entry: int  # of the promotion log
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if the answer took effect, 1 if another entry came first."""
        return 0 if self.done else 1


@task(name="approve", task_run_name="approve", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def settle_request(root: Path, params: Params, answer: Answer, flow_run: str) -> Approval:
    """Enter the answer in the promotion log, after a check of every byte of a version that is approved.

    Raises UserError if the version does not wait for approval any more, if the name or the reason is missing, or if
    a version that is approved was retired or its bundle was changed.
    """
    client, model = connect(root), params.registry.model
    by, reason = (check_text(option, text) for option, text in (("--by", answer.by), ("--reason", answer.reason)))
    state = champion_alias.load_champion_state(client, model)
    if state.alias_moved:
        raise UserError(champion_alias.describe_moved_alias(model, state))
    version = lookup.get_version(client, model, answer.version)
    if not answer.reject:
        require_in_use(version)
    request = state.ledger.find_request(version.identity)
    fault = approval.describe_fault(request, version.number, state.ledger.champion, datetime.now(UTC))
    if request is None or fault is not None:
        raise UserError(f"{model}: {fault}")
    if not answer.reject:
        with TemporaryDirectory() as folder:
            bundles.fetch_bundle(version, Path(folder))
    draft = promotion_log.draft_entry(
        "reject" if answer.reject else "approve", version.identity, state.ledger, reason, flow_run
    )
    draft = replace(draft, by=f"{by} (account {draft.by})", request=request.entry.number)
    entered, ledger = promotion_log.append(client, model, draft)
    settled = ledger.find_request(version.identity)
    done = settled is not None and settled.closed_by is not None and settled.closed_by.number == entered.number
    if done:
        tags = {"gleaner.promotion": "rejected" if answer.reject else "promoted"}
        set_version_tags(client, model, version.number, tags | {"gleaner.promotion_entry": str(entered.number)})
    message = describe_answer(version.title, answer, ledger.champion, state.ledger.champion)
    if not done:
        later = approval.describe_fault(settled, version.number, ledger.champion, entered.at)
        message = f"Lost: entry {entered.number} came too late: {later}"
    notes = champion_alias.list_notes(state)
    return Approval(done, model, version.number, ledger.champion, message, entered.number, notes)


def check_text(option: str, text: str) -> str:
    """A name or a reason in one line. Raises UserError if it is empty or too long for the log."""
    line = promotion_log.check_reason(option, text)
    if not line:
        raise UserError(f"{option}: expected who approves or rejects and why, found an empty text; give both")
    return line


def describe_answer(title: str, answer: Answer, champion: str | None, previous: str | None) -> str:
    """The outcome of an answer that took effect, in one line."""
    if answer.reject:
        return f"Rejected: {title}; {f'version {champion} stays champion' if champion else 'there is no champion'}"
    return f"Approved: {title} is champion, {f'after version {previous}' if previous else 'the first one'}"


def list_waiting(root: Path, params: Params) -> list[ApprovalRequest]:
    """The versions that wait for approval now, the oldest request first, without those that were retired or deleted."""
    now = datetime.now(UTC)
    return list_requests(root, params, lambda request: request.is_open(now))


def list_lapsed(root: Path, params: Params, since: datetime, until: datetime) -> list[ApprovalRequest]:
    """The versions whose time to be approved ended after ``since`` and by ``until``, and that nobody answered."""
    return list_requests(
        root, params, lambda request: request.closed_by is None and since < request.entry.deadline <= until
    )


def list_requests(root: Path, params: Params, wanted: Callable[[ApprovalRequest], bool]) -> list[ApprovalRequest]:
    """The wanted requests, the oldest first, without those for versions that were retired or deleted."""
    client, model = connect(root), params.registry.model
    requests = [request for request in promotion_log.read(client, model).requests if wanted(request)]
    versions = [lookup.find_number(client, model, request.entry.version) for request in requests]
    return [
        request
        for request, version in zip(requests, versions, strict=True)
        if version is not None and request.entry.is_about(version.identity) and not is_retired(version)
    ]
