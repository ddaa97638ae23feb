"""What a person is told of a version that waits for approval, and why it cannot be approved any more."""

from datetime import datetime

from pipeline.policies.promotion.entry import Entry
from pipeline.policies.promotion.ledger import ApprovalRequest


def describe_request(entry: Entry) -> str:
    """Which version waits, until when, what to read, and the command that settles it, in one line."""
    return (
        f"version {entry.version} waits for approval until {entry.deadline:%Y-%m-%d %H:%M} UTC; read {entry.page} of "
        f"MLflow run {entry.run}, then `gleaner approve {entry.version} --by NAME --reason TEXT`, or the same with "
        "--reject"
    )


def describe_lapse(entry: Entry) -> str:
    """Which version waited, until when, and how to have it judged anew, in one line."""
    return (
        f"version {entry.version} waited for approval until {entry.deadline:%Y-%m-%d %H:%M} UTC, and nobody answered; "
        f"`gleaner promote --version {entry.version}` decides anew"
    )


def describe_fault(request: ApprovalRequest | None, number: str, champion: str | None, now: datetime) -> str | None:
    """Why version ``number`` cannot be approved now, and what to do, in one line; None if it can."""
    anew = f"`gleaner promote --version {number}` decides anew"
    if request is None:
        return f"expected a version that waits for approval, found version {number}, which does not; {anew}"
    entry, closed_by = request.entry, request.closed_by
    waited = f"version {number} waited for approval since {entry.at:%Y-%m-%d %H:%M} UTC (entry {entry.number})"
    if closed_by is None:
        if now <= entry.deadline:
            return None
        return f"{waited}, and its time ended on {entry.deadline:%Y-%m-%d %H:%M} UTC; {anew}"
    by = f"entry {closed_by.number}, {closed_by.at:%Y-%m-%d %H:%M} UTC"
    if closed_by.action == "reject":
        return f"{waited}, and {closed_by.by} rejected it ({by}): {closed_by.reason}; {anew}"
    if closed_by.action == "approve" and closed_by.request == entry.number:
        return f"{waited}, and {closed_by.by} approved it ({by}); see `gleaner history`"
    if closed_by.action == "removed":
        return f"{waited}, and then the champion was removed ({by}: {closed_by.reason}); see `gleaner history`"
    if closed_by.version == number:
        return f"{waited}, and then another verdict on it was entered ({by}: {closed_by.action}); {anew}"
    return (
        f"{waited} to follow {f'version {entry.expected}' if entry.expected else 'no champion'}, but then the champion "
        f"changed to version {closed_by.version} ({by}: {closed_by.action}); {anew}"
    )
