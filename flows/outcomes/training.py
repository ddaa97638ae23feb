"""What a training run comes to, as tables: printed at its end, and published as Prefect artifacts."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.core.params import load
from pipeline.core.stage import Paths, read_json
from pipeline.policies.gate import Verdict

if TYPE_CHECKING:
    from tasks import registry
    from tasks.stage import Outcome

Rows = list[dict[str, str]]
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
BASELINES = {"tfidf": "TF-IDF baseline", "probe": "untouched-encoder baseline"}


@dataclass(frozen=True)
class Training:
    """What a run of the flow came to; what was not reached is None."""

    stages: list["Outcome"]
    verdict: Verdict | None = None
    version: "registry.Version | None" = None
    fault: str = ""  # why registering failed, a user's mistake

    @property
    def exit_code(self) -> int:
        """0 registered, 1 refused or failed, 2 a user's mistake."""
        if self.fault or any(stage.user_error for stage in self.stages):
            return 2
        return 0 if self.version else 1


def show(root: Path, training: Training) -> None:
    """Print the tables, the verdict, the version and the way to the report."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(table("Stages", stage_rows(training.stages)))
    for stage in training.stages:
        if stage.said:
            console.print(f"[red]{escape(stage.stage)} failed:[/red]\n{escape(stage.said)}")
    if not all(stage.done for stage in training.stages):
        return
    share = load(root / "params.yaml").evaluate.interval
    console.print(table(f"Test split, {share:.0%} intervals", metric_rows(root)))
    groups = group_rows(root)
    console.print(table("Groups", groups) if groups else "Groups: the test rows have no group attributes")
    if training.verdict:
        console.print(f"Gate: [bold]{training.verdict.status}[/bold]")
        console.print("\n".join(f"  {escape(reason)}" for reason in training.verdict.reasons))
    console.print(escape(version_line(training)))
    console.print(f"Report: {escape(str(Paths(root).data('report') / 'report.html'))}")


def table(title: str, rows: Rows) -> Table:
    """Rows that share their keys as a table for the terminal."""
    drawn = Table(title=title, title_justify="left", title_style="bold")
    for column in rows[0]:
        drawn.add_column(column, justify="right" if column in ("seconds", "rows") else "left")
    for row in rows:
        drawn.add_row(*map(escape, row.values()))
    return drawn


def stage_rows(stages: list["Outcome"]) -> Rows:
    """How each stage ended, and how long it took."""
    return [
        {"stage": stage.stage, "outcome": stage.how, "seconds": f"{stage.seconds:.1f}" if stage.seconds else ""}
        for stage in stages
    ]


def metric_rows(root: Path) -> Rows:
    """Accuracy and macro-F1 of the model, with intervals, above those of the baselines."""
    measured = read_json(Paths(root).data("evaluate") / "metrics.json")
    rows = [{"model": "this model", **{title: with_interval(measured, key) for key, title in METRICS.items()}}]
    for baseline, title in BASELINES.items():
        found = measured["baseline"][baseline]
        rows.append({"model": title, **{title: number(found[key]) for key, title in METRICS.items()}})
    return rows


def with_interval(measured: dict[str, Any], key: str) -> str:
    """A metric and the ends of its interval."""
    return f"{measured[key]:.3f} ({measured[f'{key}_low']:.3f} to {measured[f'{key}_high']:.3f})"


def number(value: float | None) -> str:
    """A metric that may not have been measured."""
    return "not measured" if value is None else f"{value:.3f}"


def group_rows(root: Path) -> Rows:
    """Accuracy of each group; the rates of each class are in the report."""
    with (Paths(root).data("fairness") / "groups.csv").open(encoding="utf-8", newline="") as file:
        groups = [row for row in csv.DictReader(file) if not row["class"]]
    return [
        {
            "attribute": row["attribute"],
            "group": row["group"],
            "rows": row["rows"],
            "accuracy": f"{float(row['accuracy']):.3f}",
            "status": row["status"],
        }
        for row in groups
    ]


def verdict_text(verdict: Verdict) -> str:
    """The gate's verdict in Markdown."""
    return "\n".join([f"# Gate: {verdict.status}", "", *(f"- {reason}" for reason in verdict.reasons)])


def version_line(training: Training) -> str:
    """What became of the model in the registry."""
    if training.fault:
        return training.fault
    version = training.version
    if version is None:
        return "Registered: nothing, because the gate did not pass"
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    what = "Registered" if version.fresh else "Already registered"
    return f"{what}: {version.model} version {version.number}{aliases}"
