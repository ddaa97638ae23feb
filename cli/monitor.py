"""The command `gleaner monitor`: what changed in the traffic of a version since its training, and how sure it is."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.outcomes.terminal import escape, table_column
from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params
from pipeline.core.printable import escape_in_json, print_note
from pipeline.core.stage import write_atomically
from pipeline.policies.monitoring.advice import list_advice
from pipeline.policies.monitoring.finding import SLICE_CAPTIONS, TrafficLook, TrafficSlice
from pipeline.policies.reasons import percent
from tasks.monitor import look_at_traffic
from tasks.registry.version_bundle import find_bundle
from tasks.registry.version_choice import CHAMPION
from tasks.traffic_alerts import record_look, send_by
from tasks.traffic_reference import MonitoredVersion

WORDS = {"found": "FOUND", "none": "no", "insufficient": "insufficient", "off": "off"}
STYLES = {"found": "bold red", "insufficient": "yellow"}


def main(
    root: Path, wanted: str | None, hours: float | None, as_json: bool, notify: bool, html: Path | None = None
) -> int:
    """Print the findings; exit code 1 if there is one, else 0. Raises UserError if no version or traffic is there."""
    configure_environment(root)
    params = load_params(root / "params.yaml")
    bundle = find_bundle(root, params.registry.model, wanted or CHAMPION)
    if bundle is None:
        raise UserError(f"{params.registry.model}: expected a registered version, found none; run `gleaner run`")
    version = MonitoredVersion.of(bundle)
    look = look_at_traffic(root, params, version, datetime.now(UTC), hours)
    if notify:
        record_look(root, params, look, send_by(params))
    if html is not None:
        write_page(html, look, params)
    if as_json:
        print(escape_in_json(json.dumps(asdict(look), default=datetime.isoformat, indent=2, ensure_ascii=False)))
    else:
        print_look(look, params.refresh.inbox, Console(highlight=False))
    if html is not None:
        print_note(f"page: {html}")
    return 1 if look.found else 0


def write_page(path: Path, look: TrafficLook, params: Params) -> None:
    """Write the look as a page. Raises UserError if the file cannot be written."""
    from pipeline.pages.monitor_page import render

    if path.is_dir():
        raise UserError(f"--html: expected a file that can be written, found the folder {path}; name a file")
    content = render(look, params.registry.model, params.refresh.inbox)
    try:
        write_atomically(path, lambda part: part.write_text(content, encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--html: expected a file that can be written, found {path}: {error.strerror}") from None


def print_look(look: TrafficLook, inbox: str | None, console: Console) -> None:
    """Print the head and the findings; where something was found, also the slices that changed, and what to do.

    ``inbox`` is the folder from which a night takes new texts, None without one.
    """
    for line in head(look):
        console.print(f"[bold]{escape(line)}[/]")
    if look.note:
        console.print(f"[yellow]{escape(look.note)}[/]")
    rows = [(finding.title, WORDS[finding.status], finding.sentence) for finding in look.findings]
    styles = [STYLES.get(finding.status, "none") for finding in look.findings]
    console.print(plain_table(("finding", "found", "why"), rows, styles=styles))
    if not look.found:
        return
    for by, caption in SLICE_CAPTIONS.items():
        if cells := [slice_cells(part) for part in look.slices if part.by == by]:
            changed = "change" if by == "label" else "changed"
            console.print(f"\n[bold]{escape(caption)}[/]")
            console.print(plain_table((by, "texts", "share", changed, "confidence"), cells, right_from=1))
    console.print("\n[bold]What to do[/]")
    for line in list_advice(look, inbox):
        console.print(escape(line))


def head(look: TrafficLook) -> list[str]:
    """Version and size, then the window, each in a line that a terminal of 80 characters holds."""
    lines = [
        f"{look.title}: {look.rows} texts, {look.texts} distinct, of {look.keys} keys",
        f"from {look.since:%Y-%m-%d %H:%M} to {look.until:%Y-%m-%d %H:%M} UTC",
    ]
    return [*lines, f"{look.damaged} files could not be read"] if look.damaged else lines


def slice_cells(part: TrafficSlice) -> tuple[str, ...]:
    """Name, texts, share, change and confidence: the change of a share in points, of a key's answers in percent."""
    change = f"{100 * part.change:+.1f} points" if part.by == "label" else percent(part.change)
    return part.title, str(part.rows), percent(part.share), change, percent(part.confidence)


def plain_table(
    names: Sequence[str], rows: Sequence[tuple[str, ...]], right_from: int | None = None, styles: Sequence[str] = ()
) -> Table:
    """A table without lines; columns from ``right_from`` on are aligned at the right, and a row has its style."""
    is_right = [right_from is not None and number >= right_from for number in range(len(names))]
    columns = [table_column(name, [row[n] for row in rows], right=is_right[n]) for n, name in enumerate(names)]
    table = Table(*columns, box=None, pad_edge=False)
    for number, row in enumerate(rows):
        table.add_row(*map(escape, row), style=styles[number] if styles else "none")
    return table
