"""The command `gleaner history`: print which version was champion when, and why it changed.

gleaner history [--at DATE]
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding

from flows.outcomes.promotion import print_waiting
from flows.outcomes.terminal import escape
from flows.outcomes.training import Rows
from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.policies.promotion.entry import Entry, VersionIdentity
from pipeline.policies.promotion.ledger import ChampionPeriod, Ledger

if TYPE_CHECKING:
    from tasks.registry import RegisteredVersion
    from tasks.registry.champion_alias import ChampionState


def main(root: Path, at: str | None) -> int:
    """Print the promotion log, or the champion at a time or on a day.

    Exit code 0. Raises UserError where ``at`` is no date or there is no promotion log.
    """
    params = load_params(root / "params.yaml")
    period = None if at is None else parse_period(at)
    configure_environment(root)
    from tasks.registry import all_versions, champion_alias, connect

    model, client = params.registry.model, connect(root)
    state = champion_alias.load_champion_state(client, model)
    console = Console(highlight=False, soft_wrap=True)
    for note in state.repaired:
        console.print(escape(f"Note: {note}"))
    for fault in state.ledger.faults:
        console.print(f"[red]{escape(fault)}[/red]")
    if not state.ledger.entries:
        raise UserError(f"{model}: expected a promotion log, found none; `gleaner run` registers the first version")
    if period is None:
        versions = all_versions(root, params)
        identities = [version.identity for version in versions]
        print_entries(f"Promotions of {model}, UTC", entry_rows(state.ledger, identities))
        console.print(
            escape("\n".join(champion_lines(state, champion_alias.describe_unsettled_champion(client, model, state))))
        )
        for line in limit_lines(versions):
            console.print(f"[bold]Limits changed:[/bold] {escape(line)}")
        print_waiting(root)
    else:
        console.print(escape("\n".join(champions_between(state.ledger, *period))))
    return 0


def print_entries(title: str, rows: Rows) -> None:
    """Print each entry in a line, and below it by whom and why: columns for these would be too narrow."""
    console = Console(highlight=False)
    console.print(f"[bold]{escape(title)}[/]")
    width = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    for row in rows:
        cells = [f"{row['entry']:>{width['entry']}}", row["time"], f"{row['what']:<{width['what']}}"]
        cells += [f"version {row['version']:<{width['version']}}", f"champion {row['champion']:<{width['champion']}}"]
        console.print(escape("  ".join(cells).rstrip()))
        console.print(
            Padding(escape(f"by {row['by']}: {row['why']}"), (0, 0, 0, width["entry"] + 2), expand=False), style="dim"
        )


def champion_lines(state: "ChampionState", fault: str | None) -> list[str]:
    """Who is champion by the log, and what a person has to settle, line by line."""
    champion = state.ledger.champion
    lines = [f"Champion: {f'version {champion}' if champion else 'none'}"]
    if state.alias_moved:
        moved = f"The alias champion stands at {state.alias or 'no version'}: somebody moved it by hand"
        return [*lines, f"{moved}; `gleaner rollback --to N` says which it shall be"]
    if fault is not None:
        return [*lines, fault]
    if champion is None:
        lines.append("`gleaner run` or `gleaner promote --version N` makes a version the first champion")
    return lines


def limit_lines(versions: "Sequence[RegisteredVersion]") -> list[str]:
    """A line for each limit that was changed from one version to the next, with what the gate had said before."""
    return [f"version {version.number}: {change}" for version in versions for change in version.limit_changes]


def entry_rows(ledger: Ledger, existing: Sequence[VersionIdentity]) -> Rows:
    """One row for each entry of the log, the oldest first; a version that is none of the ``existing`` ones is gone."""
    champion, rows, now = "none", [], datetime.now(UTC)
    for entry in ledger.entries:
        gone = "" if any(entry.is_about(version) for version in existing) else " (gone)"
        if ledger.took_effect(entry):
            champion = "none" if entry.action == "removed" else entry.version
        rows.append(
            {
                "entry": str(entry.number),
                "time": f"{entry.at:%Y-%m-%d %H:%M:%S}",
                "what": entry_outcome(entry, ledger, now),
                "version": f"{entry.version}{gone}",
                "champion": champion,
                "by": entry.by,
                "why": entry.reason,
            }
        )
    return rows


def entry_outcome(entry: Entry, ledger: Ledger, now: datetime) -> str:
    """The action of an entry, whether it came too late to take effect, and whether it ended without an answer."""
    if any(request.has_lapsed(now) for request in ledger.requests if request.entry == entry):
        return f"{entry.action}, lapsed"
    if entry.action in ("refuse", "insufficient") or ledger.stands(entry) or is_answer(entry, ledger):
        return entry.action
    return "rollback (alias put back)" if entry.version == entry.expected else f"{entry.action}, too late"


def is_answer(entry: Entry, ledger: Ledger) -> bool:
    """Whether the entry settled a version that waited for approval."""
    return any(request.closed_by == entry for request in ledger.requests if request.entry.number == entry.request)


def champions_between(ledger: Ledger, start: datetime, end: datetime) -> list[str]:
    """The champions from ``start`` to ``end`` (the same time for a moment), line by line."""
    first = ledger.period_at(start)
    later = [period for period in ledger.periods if start < period.entry.at < end]
    if first is None and not later:
        when = "yet" if all(period.entry.at > start for period in ledger.periods) else "then"
        return [f"{start:%Y-%m-%d %H:%M:%S} UTC: no champion {when}"]
    return [period_line(period) for period in [*([first] if first else []), *later]]


def period_line(period: ChampionPeriod) -> str:
    """Since when a version was champion, by which entry, and why."""
    entry, removal = period.entry, period.removal
    until = f" until it was found removed at {removal.at:%Y-%m-%d %H:%M:%S} UTC" if removal else ""
    return (
        f"version {period.version}, champion since {entry.at:%Y-%m-%d %H:%M:%S} UTC{until} "
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
