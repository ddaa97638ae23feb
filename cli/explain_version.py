"""What `gleaner explain-version` does: what a registered version was made of, and what changed since another one."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import promotion_record
from flows.prefect_server import configure
from pipeline.core.errors import UserError
from pipeline.core.params import load

if TYPE_CHECKING:
    from tasks.dvc.store import Objects
    from tasks.registry import RegisteredVersion

Facts = dict[str, Any]
DIGESTS = {"data": "gleaner.data", "params": "gleaner.params", "dvc.lock": "gleaner.dvc_lock"}
SHOWN = ("evaluate.", "fairness.")  # metrics that the terminal shows; --json has all
LIMIT = 20  # of them
SHORT = 12  # digits of a digest
PASSWORD = re.compile(r"(\w+://[^\s/:@]*):[^\s/@]+@")


def main(root: Path, wanted: str | None, as_json: bool) -> int:
    """Print what is known of the version; what its run did not record is named, not left out."""
    configure(root)
    from tasks import registry
    from tasks.dvc.store import objects

    params = load(root / "params.yaml")
    version = registry.find(root, params, wanted)
    with objects(root) as kept:
        facts = gather(root, version, registry.baseline(root, params, version), kept)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        show(facts, Console(highlight=False, soft_wrap=True))
    return 0


def gather(root: Path, version: "RegisteredVersion", before: "RegisteredVersion | None", kept: "Objects") -> Facts:
    """Everything about the version, and what lies between it and ``before``."""
    from tasks.registry.rebuild_commands import commands
    from tasks.registry.version_diff import difference

    missing: list[str] = []

    def piece(get: Any) -> Any:
        try:
            return get()
        except UserError as error:
            missing.append(str(error))
            return None

    metrics = version.metrics()
    facts: Facts = {
        "model": version.model,
        "version": version.number,
        "aliases": list(version.aliases),
        "registered": version.registered.isoformat(timespec="seconds"),
        "run": version.run,
        "commit": version.tags.get("gleaner.git_commit"),
        "dirty": version.tags.get("gleaner.git_dirty"),
        "digests": {name: version.tags.get(tag) for name, tag in DIGESTS.items()},
        "about": piece(version.about),
        "rows": {
            "training": counts(metrics, "finetune.rows."),
            "splits": counts(metrics, "ingest.rows."),
        },
        "gate": piece(version.gate),
        "promotion": promotion_record.judged(version, piece),
        "verified": {
            key.removeprefix("gleaner.verified").strip("_") or "verdict": value
            for key, value in sorted(version.tags.items())
            if key.startswith("gleaner.verified")
        },
        "compared_with": before and before.number,
        "difference": before and piece(lambda: asdict(difference(before, version, kept))),
        "rebuild": piece(lambda: commands(root, version, kept)),
    }
    return facts | {"missing": list(dict.fromkeys(missing))}


def counts(metrics: dict[str, float], prefix: str) -> dict[str, int]:
    """Metrics below a key, as whole numbers."""
    return {key.removeprefix(prefix): int(value) for key, value in metrics.items() if key.startswith(prefix)}


def show(facts: Facts, out: Console) -> None:
    """The facts as text."""
    aliases = f" ({', '.join(facts['aliases'])})" if facts["aliases"] else ""
    out.print(f"[bold]{escape(facts['model'])} version {facts['version']}[/bold]{escape(aliases)}")
    for name, text in made_of(facts):
        out.print(f"  {name:<11}{escape(text)}")
    if facts["gate"]:
        out.print(f"[bold]Gate: {escape(facts['gate']['status'])}[/bold]")
        out.print("\n".join(f"  {escape(reason)}" for reason in facts["gate"]["reasons"]))
    head, *rest = promotion_record.lines(facts["promotion"], facts["version"])
    out.print(f"[bold]Promotion: {escape(head)}[/bold]")
    for line in rest:
        out.print(escape(line))
    if facts["difference"]:
        show_difference(facts["compared_with"], facts["difference"], out)
    if facts["rebuild"]:
        out.print("[bold]Rebuild it by hand[/bold], in a fresh folder, with Gleaner's environment active")
        out.print("\n".join(f"  {escape(line)}" for line in facts["rebuild"]))
    for line in facts["missing"]:
        out.print(f"[yellow]Missing: {escape(line)}[/yellow]")


def made_of(facts: Facts) -> list[tuple[str, str]]:
    """What it was made of, a line each."""
    about = facts["about"] or {"changed": [], "left_out": [], "environment": None}
    state = {"true": ", with changes", "false": ", clean"}.get(facts["dirty"], "")
    lines = [
        ("registered", f"{facts['registered']}, MLflow run {facts['run']}"),
        ("commit", f"{facts['commit']}{state}"),
    ]
    if about["changed"]:
        lines.append(("patch", ", ".join(about["changed"])))
    if about["left_out"]:
        lines.append(("not in it", ", ".join(about["left_out"]) + ": data, or nothing that a stage reads"))
    lines += [(name, (value or "not recorded")) for name, value in facts["digests"].items()]
    lines += [(name, listed(rows)) for name, rows in facts["rows"].items() if rows]
    if about["environment"]:
        made = about["environment"]
        lines.append(
            ("made with", f"Python {made['python']}, {made['platform']}, {made['cpus']} CPUs, {made['processor']}")
        )
    lines.append(("verified", verified(facts["verified"])))
    return lines


def verified(facts: Facts) -> str:
    """What the last verification found."""
    if not facts:
        return "never; `gleaner verify-version` rebuilds it"
    where = f" at {facts['differs_at']}" if facts.get("differs_at") else ""
    return f"{facts['verdict']}{where}, {facts['at']}"


def listed(rows: dict[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{count} {name}" for name, count in rows.items())


def show_difference(number: str, found: Facts, out: Console) -> None:
    """What changed since another version, a table for each kind of thing that did."""
    out.print(f"[bold]Since version {number}[/bold]")
    metrics = {key: pair for key, pair in found["metrics"].items() if key.startswith(SHOWN)}
    tables: dict[str, list[tuple[str, str, str]]] = {
        "param": [(key, shown(was), shown(now)) for key, (was, now) in found["params"].items()],
        "code": [(path, digits(was), digits(now)) for path, (was, now) in found["code"].items()],
        "raw data": [(path, size(was), size(now)) for path, (was, now) in found["sources"].items()],
        "rows": [(path, counted(one["was"]), grown(one)) for path, one in found["tables"].items()],
        "metric": [(key, measured(was), measured(now)) for key, (was, now) in list(metrics.items())[:LIMIT]],
    }
    for kind, lines in tables.items():
        if not lines:
            out.print(f"  {kind}: no change")
            continue
        drawn = Table()
        for column in (kind, "was", "is"):
            drawn.add_column(column)
        for line in lines:
            drawn.add_row(*map(escape, line))
        out.print(drawn)
    if rest := len(found["metrics"]) - len(tables["metric"]):
        out.print(f"  and {rest} more metrics: --json has all")


def shown(value: Any) -> str:
    """A value of params.yaml, without the password of a URL."""
    return PASSWORD.sub(r"\1:***@", json.dumps(value, ensure_ascii=False))


def digits(digest: str | None) -> str:
    """The beginning of a digest."""
    return "" if digest is None else digest[:SHORT]


def measured(value: float | None) -> str:
    """A number, to as many places as anybody reads."""
    return "" if value is None else f"{value:.4g}"


def size(found: Facts | None) -> str:
    """Files and bytes."""
    return "" if found is None else f"{found['files']} files, {found['bytes']} bytes"


def grown(rows: Facts) -> str:
    """How many rows there are, and which of them came and went."""
    if rows["added"] is None:
        return counted(rows["now"])
    return f"{rows['now']} (+{rows['added']} -{rows['removed']})"


def counted(rows: int | None) -> str:
    """A number of rows."""
    return "not known" if rows is None else str(rows)
