"""The promotion record of a version: the last judgement of it in the promotion log, and the verdict stored with it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flows.outcomes.training import METRICS
from pipeline.core.errors import UserError
from pipeline.policies import promotion
from pipeline.policies.promotion import PromotionVerdict, approval
from pipeline.policies.promotion.entry import AWAITING

if TYPE_CHECKING:
    from pipeline.policies.promotion.entry import Entry
    from pipeline.policies.promotion.ledger import ApprovalRequest, Ledger
    from tasks.registry import RegisteredVersion

Facts = dict[str, Any]
NEVER = "never judged"


def read_promotion_record(version: "RegisteredVersion", get_or_note: Callable[[Callable[[], Any]], Any]) -> Facts:
    """The last judgement as plain data; without one, the first entry of the version in the log, if there is one.

    ``get_or_note`` calls a function and returns its result; where something was not recorded it notes that and
    returns None.
    """
    from tasks.registry import promotion_log
    from tasks.registry.version_tags import RETIRED

    ledger = promotion_log.read(version.client, version.model)
    entries = ledger.entries_about(version.identity)
    last = next((entry for entry in reversed(entries) if entry.verdict is not None), None)
    approved = approval_state(ledger.find_request(version.identity), version.tags.get(RETIRED))
    if last is None or last.verdict is None:
        reason = f"{entries[0].action}: {entries[0].reason}" if entries else None
        return {"outcome": NEVER, "reason": reason, "approval": approved}
    artifact = last.verdict.artifact
    return {
        "outcome": outcome(last, ledger),
        "reason": last.reason,
        "champion": last.expected,
        "at": last.at.isoformat(timespec="seconds"),
        "entry": last.number,
        "intact": last.intact,
        "by": last.by,
        "repeats": last.verdict.again,
        "approval": approved,
        "verdict": get_or_note(lambda: promotion.to_json(read_verdict(version, artifact))),
    }


def outcome(entry: "Entry", ledger: "Ledger") -> str:
    """The result of a judgement: promoted, refused, insufficient, or lost where another promotion came first."""
    if entry.action == AWAITING:
        return "better" if ledger.stands(entry) else "lost"
    if entry.action == "promote":
        return "promoted" if ledger.took_effect(entry) else "lost"
    return {"refuse": "refused"}.get(entry.action, entry.action)


def approval_state(request: "ApprovalRequest | None", retired: str | None) -> str | None:
    """Whether the version waits for a person's approval, or what came of it, in one line; None if it never waited.

    ``retired`` says why the version was retired, if it was.
    """
    if request is None:
        return None
    if retired is not None and request.closed_by is None:
        return f"waited for it, and was retired: {retired}"
    if request.is_open(datetime.now(UTC)):
        return approval.describe_request(request.entry)
    if request.closed_by is None:
        return f"not approved by {request.entry.deadline:%Y-%m-%d %H:%M} UTC"
    closed_by = request.closed_by
    answer = {"approve": "approved", "reject": "rejected"}.get(closed_by.action)
    if answer is not None and closed_by.request == request.entry.number:
        return f"{answer} by {closed_by.by} (entry {closed_by.number}): {closed_by.reason}"
    return f"overtaken by entry {closed_by.number} ({closed_by.action}, version {closed_by.version})"


def read_verdict(version: "RegisteredVersion", artifact: str) -> PromotionVerdict:
    """The whole verdict, as the run of the version stores it.

    Raises UserError where the stored file is no verdict.
    """
    try:
        return promotion.from_json(json.loads(version.read_artifact(artifact)))
    except (ValueError, ValidationError):
        raise UserError(
            f"{version.title}: expected a verdict in {artifact} of its run {version.run}, found something else; "
            "it was judged by another Gleaner, or somebody changed it"
        ) from None


def record_lines(facts: Facts, number: str) -> list[str]:
    """The record line by line: the decision, then the numbers, then each rule that was not passed."""
    approval_line = [f"  approval: {facts['approval']}"] if facts["approval"] else []
    if facts["outcome"] == NEVER:
        way_on = f" ({facts['reason']})" if facts["reason"] else f"; `gleaner promote --version {number}`"
        return [f"{NEVER}{way_on}", *approval_line]
    repetition = f", which repeats the judgement of entry {facts['repeats']}" if facts["repeats"] else ""
    warning = "" if facts["intact"] else "; the entry is not as it was written: somebody changed it"
    head = (
        f"{facts['outcome']}, beside champion version {facts['champion']}, {facts['at']}, by entry {facts['entry']} of "
        f"the promotion log ({facts['by']}){repetition}{warning}"
    )
    if facts["verdict"] is None:
        return [head, *approval_line, f"  {facts['reason']}"]
    return [head, *approval_line, *(f"  {line}" for line in verdict_lines(promotion.from_json(facts["verdict"])))]


def verdict_lines(verdict: PromotionVerdict) -> list[str]:
    """The lead with its bounds, the gap between groups of each attribute, and the rules that were not passed."""
    lead, reuse, rows = verdict.lead, verdict.test_set_reuse, verdict.rows
    scores = f"{METRICS[verdict.metric]} {lead.challenger:.4f} against {lead.champion:.4f} on {rows.compared} test rows"
    bound = (
        f"lead {lead.difference:+.4f}, lower bound {lead.low:+.4f} at {1 - reuse.level:.2%} "
        f"(judgement {reuse.judgement} on these rows), above {verdict.margin:g} wanted"
    )
    lines = [scores, bound]
    for gap in verdict.gaps:
        text = f"too few rows in {', '.join(gap.small)}" if gap.small else "fewer than two groups"
        if gap.champion is not None and gap.challenger is not None:
            text = (
                f"{gap.challenger:.4f} against {gap.champion:.4f}, {gap.increase:+.4f} "
                f"({gap.increase_low:+.4f} to {gap.increase_high:+.4f})"
            )
        lines.append(f"gap between groups of {gap.attribute} {text}")
    return lines + [reason for reason in verdict.reasons if reason.startswith(("fail: ", "insufficient: "))]
