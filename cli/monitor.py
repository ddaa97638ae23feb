"""The command `gleaner monitor`: what changed in the traffic of a version since its training, and how sure it is."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.outcomes.terminal import escape, table_column
from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.printable import escape_in_json
from pipeline.core.stage import write_atomically
from pipeline.policies.monitoring.finding import TrafficLook
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
        write_page(html, look, params.registry.model)
    if as_json:
        print(escape_in_json(json.dumps(asdict(look), default=datetime.isoformat, indent=2, ensure_ascii=False)))
    else:
        print_look(look, Console(highlight=False))
    return 1 if look.found else 0


def write_page(path: Path, look: TrafficLook, model: str) -> None:
    """Write the look as a page. Raises UserError if the file cannot be written."""
    from pipeline.pages.monitor_page import render

    try:
        write_atomically(path, lambda part: part.write_text(render(look, model), encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--html: expected a file that can be written, found {path}: {error.strerror}") from None


def print_look(look: TrafficLook, console: Console) -> None:
    """Print the head, the findings as a table, and the slices that changed most."""
    console.print(f"[bold]{escape(head(look))}[/]")
    rows = [(finding.title, WORDS[finding.status], finding.sentence) for finding in look.findings]
    names = ("finding", "found", "why")
    columns = [table_column(name, [row[number] for row in rows]) for number, name in enumerate(names)]
    findings = Table(*columns, box=None, pad_edge=False)
    for finding, row in zip(look.findings, rows, strict=True):
        findings.add_row(*map(escape, row), style=STYLES.get(finding.status, "none"))
    console.print(findings)
    cells = [
        (
            part.by,
            part.title,
            str(part.rows),
            percent(part.share),
            f"{100 * part.change:+.1f}",
            percent(part.confidence),
        )
        for part in look.slices
    ]
    if cells:
        titles = ("by", "slice", "texts", "share", "change", "confidence")
        heads = [table_column(name, [row[n] for row in cells], right=n > 1) for n, name in enumerate(titles)]
        slices = Table(*heads, box=None, pad_edge=False, title="What changed most, in points", title_justify="left")
        for cell in cells:
            slices.add_row(*map(escape, cell))
        console.print(slices)


def head(look: TrafficLook) -> str:
    """Version, window and size in a line."""
    damaged = f", {look.damaged} files could not be read" if look.damaged else ""
    return (
        f"{look.title}: {look.rows} texts, {look.texts} distinct, of {look.keys} keys, from "
        f"{look.since:%Y-%m-%d %H:%M} to {look.until:%Y-%m-%d %H:%M} UTC{damaged}"
    )
