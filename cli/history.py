"""Which version was champion when, and why it changed.

gleaner history [--at DATE]
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flows.outcomes.training import Rows, table
from flows.prefect_server import configure
from pipeline.core.errors import UserError
from pipeline.core.params import load
from pipeline.policies.promotion.ledger import Entry, Ledger, Reign


def main(root: Path, at: str | None) -> int:
    """Print the promotion log, or who was champion at a time or on a day; 0, or 2 on a user's mistake."""
    params = load(root / "params.yaml")
    when = None if at is None else span(at)
    configure(root)
    from tasks.registry import connect, promotion_log

    model = params.registry.model
    found = promotion_log.standing(connect(root), model)
    console = Console(highlight=False, soft_wrap=True)
    if found.repaired:
        console.print(escape(f"Note: {found.repaired}"))
    for fault in found.ledger.faults:
        console.print(f"[red]{escape(fault)}[/red]")
    if not found.ledger.entries:
        raise UserError(f"{model}: expected a promotion log, found none; `gleaner run` registers the first version")
    if when is None:
        console.print(table(f"Promotions of {model}, UTC", rows(found.ledger)))
        console.print(escape(f"Champion: version {found.ledger.champion}"))
        if found.moved_by_hand:
            text = f"The alias champion stands at {found.alias or 'no version'}: somebody moved it by hand"
            console.print(f"[red]{escape(text)}[/red]; `gleaner rollback --to N` says which it shall be")
    else:
        console.print(escape("\n".join(reigned(found.ledger, *when))))
    return 0


def rows(ledger: Ledger) -> Rows:
    """A row for each entry, the oldest first."""
    champion, found = "none", []
    for entry in ledger.entries:
        if ledger.took_effect(entry):
            champion = entry.version
        found.append(
            {
                "entry": str(entry.number),
                "time": f"{entry.at:%Y-%m-%d %H:%M:%S}",
                "what": what(entry, ledger),
                "version": entry.version,
                "champion": champion,
                "by": entry.by,
                "why": entry.reason,
            }
        )
    return found


def what(entry: Entry, ledger: Ledger) -> str:
    """The action, and whether it came too late."""
    moved = entry.action in ("initial", "adopted", "promote", "rollback")
    if not moved or ledger.took_effect(entry):
        return entry.action
    return "rollback (alias put back)" if entry.version == entry.expected else f"{entry.action}, too late"


def reigned(ledger: Ledger, start: datetime, end: datetime) -> list[str]:
    """Who was champion at a time, or from the start of a span to its end."""
    first = ledger.reign_at(start)
    later = [reign for reign in ledger.reigns if start < reign.entry.at < end]
    if first is None and not later:
        return [f"{start:%Y-%m-%d %H:%M:%S} UTC: no champion yet"]
    return [told(reign) for reign in [*([first] if first else []), *later]]


def told(reign: Reign) -> str:
    """Since when, by which entry and why."""
    entry = reign.entry
    return (
        f"version {reign.version}, champion since {entry.at:%Y-%m-%d %H:%M:%S} UTC "
        f"(entry {entry.number}: {entry.action}, {entry.reason})"
    )


def span(at: str) -> tuple[datetime, datetime]:
    """A day (UTC) from its start to its end, or one time; a time without a zone is UTC."""
    try:
        if len(at) == len("2026-01-31"):
            start = datetime.combine(date.fromisoformat(at), datetime.min.time(), UTC)
            return start, start + timedelta(days=1)
        time = datetime.fromisoformat(at)
    except ValueError:
        expected = "a day like 2026-01-31 or a time like 2026-01-31T12:00+01:00"
        raise UserError(f"--at: expected {expected} (UTC without a zone), found {at}") from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time, time
