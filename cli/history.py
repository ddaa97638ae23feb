"""The command `gleaner history`: print which version was champion when, and why it changed.

gleaner history [--at DATE]
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from flows.outcomes.terminal import escape
from flows.outcomes.training import Rows, rich_table
from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.policies.promotion.ledger import ChampionPeriod, Entry, Ledger


def main(root: Path, at: str | None) -> int:
    """Print the promotion log, or the champion at a time or on a day.

    Exit code 0. Raises UserError where ``at`` is no date or there is no promotion log.
    """
    params = load_params(root / "params.yaml")
    period = None if at is None else parse_period(at)
    configure_environment(root)
    from tasks.registry import champion_alias, connect

    model = params.registry.model
    state = champion_alias.load_champion_state(connect(root), model)
    console = Console(highlight=False, soft_wrap=True)
    if state.repaired:
        console.print(escape(f"Note: {state.repaired}"))
    for fault in state.ledger.faults:
        console.print(f"[red]{escape(fault)}[/red]")
    if not state.ledger.entries:
        raise UserError(f"{model}: expected a promotion log, found none; `gleaner run` registers the first version")
    if period is None:
        console.print(rich_table(f"Promotions of {model}, UTC", entry_rows(state.ledger)))
        console.print(escape(f"Champion: version {state.ledger.champion}"))
        if state.alias_moved:
            text = f"The alias champion stands at {state.alias or 'no version'}: somebody moved it by hand"
            console.print(f"[red]{escape(text)}[/red]; `gleaner rollback --to N` says which it shall be")
    else:
        console.print(escape("\n".join(champions_between(state.ledger, *period))))
    return 0


def entry_rows(ledger: Ledger) -> Rows:
    """One row for each entry of the log, the oldest first."""
    champion, rows = "none", []
    for entry in ledger.entries:
        if ledger.took_effect(entry):
            champion = entry.version
        rows.append(
            {
                "entry": str(entry.number),
                "time": f"{entry.at:%Y-%m-%d %H:%M:%S}",
                "what": entry_outcome(entry, ledger),
                "version": entry.version,
                "champion": champion,
                "by": entry.by,
                "why": entry.reason,
            }
        )
    return rows


def entry_outcome(entry: Entry, ledger: Ledger) -> str:
    """The action of an entry, and whether it came too late to take effect."""
    moves_champion = entry.action in ("initial", "adopted", "promote", "rollback")
    if not moves_champion or ledger.took_effect(entry):
        return entry.action
    return "rollback (alias put back)" if entry.version == entry.expected else f"{entry.action}, too late"


def champions_between(ledger: Ledger, start: datetime, end: datetime) -> list[str]:
    """The champions from ``start`` to ``end`` (the same time for a moment), line by line."""
    first = ledger.period_at(start)
    later = [period for period in ledger.periods if start < period.entry.at < end]
    if first is None and not later:
        return [f"{start:%Y-%m-%d %H:%M:%S} UTC: no champion yet"]
    return [period_line(period) for period in [*([first] if first else []), *later]]


def period_line(period: ChampionPeriod) -> str:
    """Since when a version was champion, by which entry, and why."""
    entry = period.entry
    return (
        f"version {period.version}, champion since {entry.at:%Y-%m-%d %H:%M:%S} UTC "
        f"(entry {entry.number}: {entry.action}, {entry.reason})"
    )


def parse_period(at: str) -> tuple[datetime, datetime]:
    """The start and the end that ``--at`` names: of a day (UTC), or twice the same time.

    A time without a zone is UTC. Raises UserError for anything else.
    """
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
