"""What became of a version as a challenger: the promotion log's last judgement of it, and the verdict kept with it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flows.outcomes.promotion import NAMES
from pipeline.core.errors import UserError
from pipeline.policies import promotion
from pipeline.policies.promotion import Verdict

if TYPE_CHECKING:
    from pipeline.policies.promotion.ledger import Entry, Ledger
    from tasks.registry import RegisteredVersion

Facts = dict[str, Any]
NEVER = "never judged"


def judged(version: "RegisteredVersion", piece: Callable[[Callable[[], Any]], Any]) -> Facts:
    """The last judgement as plain data; ``piece`` gets what may be missing, and then gives None.

    Without one, how the version came into the log, where it did.
    """
    from tasks.registry import promotion_log

    ledger = promotion_log.read(version.client, version.model)
    own = [entry for entry in ledger.entries if entry.version == version.number]
    last = next((entry for entry in reversed(own) if entry.judged is not None), None)
    if last is None or last.judged is None:
        return {"outcome": NEVER, "reason": f"{own[0].action}: {own[0].reason}" if own else None}
    artifact = last.judged.artifact
    return {
        "outcome": outcome(last, ledger),
        "reason": last.reason,
        "champion": last.expected,
        "at": last.at.isoformat(timespec="seconds"),
        "entry": last.number,
        "intact": last.intact,
        "by": last.by,
        "repeats": last.judged.again,
        "verdict": piece(lambda: asdict(stored(version, artifact))),
    }


def outcome(entry: "Entry", ledger: "Ledger") -> str:
    """What the judgement led to: a promotion that another one came before was lost."""
    if entry.action == "promote":
        return "promoted" if ledger.took_effect(entry) else "lost"
    return {"refuse": "refused"}.get(entry.action, entry.action)


def stored(version: "RegisteredVersion", artifact: str) -> Verdict:
    """The whole verdict, as the run of the version keeps it."""
    try:
        return promotion.from_json(json.loads(version.file(artifact)))
    except (ValueError, ValidationError):
        raise UserError(
            f"{version.title}: expected a verdict in {artifact} of its run {version.run}, found something else; "
            "it was judged by another Gleaner, or somebody changed it"
        ) from None


def lines(facts: Facts, number: str) -> list[str]:
    """The same for people: a line on what was decided, then the numbers, then each rule that stood in the way."""
    if facts["outcome"] == NEVER:
        return [f"{NEVER} ({facts['reason']})" if facts["reason"] else f"{NEVER}; `gleaner promote --version {number}`"]
    again = f", which repeats the judgement of entry {facts['repeats']}" if facts["repeats"] else ""
    changed = "" if facts["intact"] else "; the entry is not as it was written: somebody changed it"
    head = (
        f"{facts['outcome']}, beside champion version {facts['champion']}, {facts['at']}, by entry {facts['entry']} of "
        f"the promotion log ({facts['by']}){again}{changed}"
    )
    if facts["verdict"] is None:
        return [head, f"  {facts['reason']}"]
    return [head, *(f"  {line}" for line in numbers(promotion.from_json(facts["verdict"])))]


def numbers(verdict: Verdict) -> list[str]:
    """The lead with its bounds, the gap between groups of each attribute, and what was not passed."""
    lead, worn, rows = verdict.lead, verdict.wear, verdict.rows
    scores = f"{NAMES[verdict.metric]} {lead.challenger:.4f} against {lead.champion:.4f} on {rows.compared} test rows"
    bound = (
        f"lead {lead.difference:+.4f}, lower bound {lead.low:+.4f} at {1 - worn.level:.2%} (judgement {worn.judgement} "
        f"on these rows), above {verdict.margin:g} wanted"
    )
    found = [scores, bound]
    for gap in verdict.gaps:
        told = f"too few rows in {', '.join(gap.small)}" if gap.small else "fewer than two groups"
        if gap.champion is not None and gap.challenger is not None:
            told = (
                f"{gap.challenger:.4f} against {gap.champion:.4f}, {gap.increase:+.4f} "
                f"({gap.increase_low:+.4f} to {gap.increase_high:+.4f})"
            )
        found.append(f"gap between groups of {gap.attribute} {told}")
    return found + [reason for reason in verdict.reasons if reason.startswith(("fail: ", "insufficient: "))]
