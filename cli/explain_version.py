"""The command `gleaner explain-version`: print what a version was made of, and what changed since another one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from cli import promotion_record
from flows.outcomes.terminal import dim_key, escape, table_column
from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.printable import escape_in_json
from pipeline.core.secrets import hide_passwords
from pipeline.policies.limit_changes import LimitChange

if TYPE_CHECKING:
    from tasks.dvc.store import DvcStore
    from tasks.registry import RegisteredVersion

Facts = dict[str, Any]
DIGESTS = {"data": "gleaner.data", "params": "gleaner.params", "dvc.lock": "gleaner.dvc_lock"}
SHOWN = ("evaluate.", "fairness.")  # prefixes of the metrics that the terminal shows; --json has all
MAX_METRICS = 20  # more lines would hide the rest; --json has all
DIGEST_LENGTH = 12  # digits shown, as git shows a short commit


def main(root: Path, wanted: str | None, as_json: bool) -> int:
    """Print everything that is known of the version, and name what its run did not record; exit code 0."""
    configure_environment(root)
    from tasks import registry
    from tasks.dvc.store import open_dvc_store

    params = load_params(root / "params.yaml")
    version = registry.find_version(root, params, wanted)
    with open_dvc_store(root) as dvc_store:
        facts = collect_facts(root, version, registry.find_baseline(root, params, version), dvc_store)
    if as_json:
        print(escape_in_json(json.dumps(facts, indent=2, ensure_ascii=False)))
    else:
        print_facts(facts, Console(highlight=False, soft_wrap=True))
    return 0


def collect_facts(
    root: Path, version: "RegisteredVersion", baseline: "RegisteredVersion | None", dvc_store: "DvcStore"
) -> Facts:
    """Everything that is known of the version, and how it differs from ``baseline``."""
    from tasks.registry.rebuild_commands import list_commands
    from tasks.registry.version_diff import diff_versions

    missing: list[str] = []

    def get_or_note(get: Any) -> Any:
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
        "about": get_or_note(version.about),
        "rows": {
            "training": counts(metrics, "finetune.rows."),
            "splits": counts(metrics, "ingest.rows."),
        },
        "gate": get_or_note(version.gate),
        "limit_changes": [asdict(change) for change in version.limit_changes],
        "promotion": promotion_record.read_promotion_record(version, get_or_note),
        "verified": {
            key.removeprefix("gleaner.verified").strip("_") or "verdict": value
            for key, value in sorted(version.tags.items())
            if key.startswith("gleaner.verified")
        },
        "compared_with": baseline and baseline.number,
        "difference": baseline and get_or_note(lambda: asdict(diff_versions(baseline, version, dvc_store))),
        "rebuild": get_or_note(lambda: list_commands(root, version, dvc_store)),
    }
    return facts | {"missing": list(dict.fromkeys(missing))}


def counts(metrics: dict[str, float], prefix: str) -> dict[str, int]:
    """Metrics whose key starts with ``prefix``, as whole numbers: rest of the key -> value."""
    return {key.removeprefix(prefix): int(value) for key, value in metrics.items() if key.startswith(prefix)}


def print_facts(facts: Facts, out: Console) -> None:
    """Print the facts."""
    aliases = f" ({', '.join(facts['aliases'])})" if facts["aliases"] else ""
    out.print(f"[bold]{escape(facts['model'])} version {escape(facts['version'])}[/bold]{escape(aliases)}")
    for name, text in describe_making(facts):
        out.print(f"  {name:<11}{escape(text)}")
    if facts["gate"]:
        out.print(f"[bold]Gate: {escape(facts['gate']['status'])}[/bold]")
        out.print("\n".join(f"  {dim_key(reason)}" for reason in facts["gate"]["reasons"]))
    for change in facts["limit_changes"]:
        out.print(f"  [yellow]limit changed:[/yellow] {escape(str(LimitChange(**change)))}")
    head, *rest = promotion_record.record_lines(facts["promotion"], facts["version"])
    out.print(f"[bold]Promotion: {escape(head)}[/bold]")
    for line in rest:
        out.print(dim_key(line))
    if facts["difference"]:
        print_difference(facts["compared_with"], facts["difference"], out)
    if facts["rebuild"]:
        out.print("[bold]Rebuild it by hand[/bold], in a fresh folder, with Gleaner's environment active")
        out.print("\n".join(f"  {escape(line)}" for line in facts["rebuild"]))
    for line in facts["missing"]:
        out.print(f"[yellow]Missing: {escape(line)}[/yellow]")


def describe_making(facts: Facts) -> list[tuple[str, str]]:
    """What the version was made of: (name, text) line by line."""
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
    lines += [(name, format_counts(rows)) for name, rows in facts["rows"].items() if rows]
    if about["environment"]:
        environment = about["environment"]
        machine = f"{environment['platform']}, {environment['cpus']} CPUs, {environment['processor']}"
        lines.append(("made with", f"Python {environment['python']}, {machine}"))
    lines.append(("verified", format_verification(facts["verified"])))
    return lines


def format_verification(facts: Facts) -> str:
    """The verdict of the last verification."""
    if not facts:
        return "never; `gleaner verify-version` rebuilds it"
    where = f" at {facts['differs_at']}" if facts.get("differs_at") else ""
    return f"{facts['verdict']}{where}, {facts['at']}"


def format_counts(rows: dict[str, int]) -> str:
    """Counts in words, as "40 gold, 1992 pseudo"."""
    return ", ".join(f"{count} {name}" for name, count in rows.items())


def print_difference(number: str, difference: Facts, out: Console) -> None:
    """Print what changed since another version, one table for each kind of change."""
    out.print(f"[bold]Since version {number}[/bold]")
    metrics = {key: pair for key, pair in difference["metrics"].items() if key.startswith(SHOWN)}
    tables: dict[str, list[tuple[str, str, str]]] = {
        "param": [(key, format_param(was), format_param(now)) for key, (was, now) in difference["params"].items()],
        "code": [(path, short_digest(was), short_digest(now)) for path, (was, now) in difference["code"].items()],
        "raw data": [(path, format_size(was), format_size(now)) for path, (was, now) in difference["sources"].items()],
        "rows": [
            (path, format_row_count(rows["was"]), format_row_change(rows))
            for path, rows in difference["tables"].items()
        ],
        "metric": [
            (key, format_number(was), format_number(now)) for key, (was, now) in list(metrics.items())[:MAX_METRICS]
        ],
    }
    for kind, lines in tables.items():
        if not lines:
            out.print(f"  {kind}: no change")
            continue
        printed = Table(*map(table_column, (kind, "was", "is"), map(list, zip(*lines, strict=True))))
        for line in lines:
            printed.add_row(*map(escape, line))
        out.print(printed)
    if rest := len(difference["metrics"]) - len(tables["metric"]):
        out.print(f"  and {rest} more metrics: --json has all")


def format_param(value: Any) -> str:
    """A value of params.yaml as JSON, without passwords in URLs."""
    return hide_passwords(json.dumps(value, ensure_ascii=False))


def short_digest(digest: str | None) -> str:
    """The first digits of a digest."""
    return "" if digest is None else digest[:DIGEST_LENGTH]


def format_number(value: float | None) -> str:
    """A number with four significant digits."""
    return "" if value is None else f"{value:.4g}"


def format_size(source: Facts | None) -> str:
    """Files and bytes, as "3 files, 91823 bytes"."""
    return "" if source is None else f"{source['files']} files, {source['bytes']} bytes"


def format_row_change(rows: Facts) -> str:
    """The number of rows, and how many were added and removed."""
    if rows["added"] is None:
        return format_row_count(rows["now"])
    return f"{rows['now']} (+{rows['added']} -{rows['removed']})"


def format_row_count(rows: int | None) -> str:
    """A number of rows, or "not known"."""
    return "not known" if rows is None else str(rows)
