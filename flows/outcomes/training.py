"""The outcome of a training run as tables: printed at its end, and published as Prefect artifacts."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from flows.outcomes.terminal import code_key, dim_key, escape, table_column
from pipeline.core.params import load_params
from pipeline.core.stage import Paths, read_json
from pipeline.policies.accuracy_caveats import accuracy_caveats
from pipeline.policies.gate import GateVerdict, gap_statuses
from pipeline.policies.group_status import ENOUGH_ROWS, gap_verdict_of_group

if TYPE_CHECKING:
    from tasks import registry
    from tasks.stage_outcome import StageOutcome

Rows = list[dict[str, str]]
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
BASELINES = {
    "tfidf": "TF-IDF baseline",
    "probe": "untouched-encoder baseline",
    "largest_class": "always the largest class",
}


@dataclass(frozen=True)
class Training:
    """The outcome of a run of the training flow; what the run did not reach is None."""

    stages: list["StageOutcome"]
    verdict: GateVerdict | None = None
    version: "registry.Registration | None" = None
    fault: str = ""  # why registering failed, a user's error

    @property
    def exit_code(self) -> int:
        """0 registered, 1 refused or failed, 2 user error."""
        if self.fault or any(stage.user_error for stage in self.stages):
            return 2
        return 0 if self.version else 1


def print_training(root: Path, training: Training) -> None:
    """Print the tables, the gate's verdict, the version and the path of the report."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(rich_table("Stages", stage_rows(training.stages)))
    for stage in training.stages:
        if stage.message:
            console.print(f"[red]{escape(stage.stage)} failed:[/red]\n{escape(stage.message)}")
    is_ingested = any(stage.done for stage in training.stages if stage.stage == "ingest")
    if is_ingested and (lines := data_lines(root)):
        console.print("\n".join(["[bold]Data[/bold]", *(f"  {escape(line)}" for line in lines)]))
    if not all(stage.done for stage in training.stages):
        return
    share = load_params(root / "params.yaml").evaluate.interval
    console.print(rich_table(f"Test split, {share:.0%} intervals", metric_rows(root)))
    console.print(
        "".join(
            f"  {escape(line)}\n" for line in [*shipped_lines(root), *caveat_lines(root), *calibration_lines(root)]
        ),
        end="",
    )
    groups = group_rows(root)
    console.print(rich_table("Groups", groups) if groups else "Groups: the test rows have no group attributes")
    if training.verdict:
        console.print(f"Gate: [bold]{training.verdict.status}[/bold]")
        console.print("\n".join(f"  {dim_key(reason)}" for reason in training.verdict.reasons))
    if steps := next_steps(root):
        console.print("\n".join(["What to try next", *(f"  {i}. {escape(step)}" for i, step in enumerate(steps, 1))]))
    console.print(escape(version_line(training)))
    console.print(f"Report: {escape(str(Paths(root).data('report') / 'report.html'))}")


def data_lines(root: Path) -> list[str]:
    """What ingest says on labels and group values, and a line for each file of which it set rows aside.

    It is empty where another stage of that name, which writes no metrics, takes the place of ingest.
    """
    counts = read_metrics(root, "ingest")
    return [*counts.get("remarks", []), *counts.get("rejected_by_file", [])]


def caveat_lines(root: Path) -> list[str]:
    """Why the accuracy on the test split is low or says little, a line each."""
    return accuracy_caveats(read_json(Paths(root).data("evaluate") / "metrics.json"))


def shipped_lines(root: Path) -> list[str]:
    """Why this model ships and not another candidate, in a line; none for a run before models were compared."""
    return [reason] if (reason := read_metrics(root, "export").get("shipped", {}).get("reason")) else []


def calibration_lines(root: Path) -> list[str]:
    """That confidence is not calibrated, in a line, where there were too few rows for it."""
    source = str(read_metrics(root, "export").get("temperature_from", ""))
    counts = source.removeprefix("none: ")
    return [f"Confidence is not calibrated: {counts} are too few."] if source.startswith("none: ") else []


def next_steps(root: Path) -> list[str]:
    """What to try next, the most promising first; none where the outcome is not weak."""
    return list(read_metrics(root, "report").get("next_steps", []))


def read_metrics(root: Path, stage: str) -> dict[str, Any]:
    """The metrics of a stage; empty where another stage of that name, which writes none, takes its place."""
    path = Paths(root).data(stage) / "metrics.json"
    return read_json(path) if path.exists() else {}


def rich_table(title: str, rows: Rows) -> Table:
    """A table for the terminal, from rows that share their keys."""
    columns = [table_column(name, [row[name] for row in rows], name in ("seconds", "rows")) for name in rows[0]]
    rich_rows = Table(*columns, title=escape(title), title_justify="left", title_style="bold")
    for row in rows:
        rich_rows.add_row(*map(escape, row.values()))
    return rich_rows


def stage_rows(stages: list["StageOutcome"]) -> Rows:
    """How each stage ended and how long it took, one row a stage."""
    return [
        {"stage": stage.stage, "outcome": stage.status, "seconds": f"{stage.seconds:.1f}" if stage.seconds else ""}
        for stage in stages
    ]


def metric_rows(root: Path) -> Rows:
    """Accuracy and macro-F1 of the model with intervals, then of the baselines, one row each."""
    measured = read_json(Paths(root).data("evaluate") / "metrics.json")
    rows = [{"model": "this model", **{title: format_interval(measured, key) for key, title in METRICS.items()}}]
    for baseline, title in BASELINES.items():
        scores = measured.get("baseline", {}).get(baseline, {})
        rows.append({"model": title, **{title: format_metric(scores.get(key)) for key, title in METRICS.items()}})
    return rows


def format_interval(measured: dict[str, Any], key: str) -> str:
    """A metric with its interval, as "0.865 (0.830 to 0.897)"; "not measured" if any of the three is missing."""
    value, low, high = (measured.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not all(isinstance(number, int | float) for number in (value, low, high)):
        return "not measured"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def format_metric(value: float | None) -> str:
    """A metric with three decimals, or "not measured"."""
    return "not measured" if value is None else f"{value:.3f}"


def group_rows(root: Path) -> Rows:
    """Accuracy of each group, whether its rows are enough, and the gate's verdict on the gap of its attribute.

    The report has the rates of each class, too.
    """
    with (Paths(root).data("fairness") / "groups.csv").open(encoding="utf-8", newline="") as file:
        groups = [row for row in csv.DictReader(file) if not row["class"]]
    limit = load_params(root / "params.yaml").gate.max_group_gap
    gates = gap_statuses(limit, read_json(Paths(root).data("fairness") / "metrics.json"))
    return [
        {
            "attribute": row["attribute"],
            "group": row["group"],
            "rows": row["rows"],
            "accuracy": f"{float(row['accuracy']):.3f}",
            "enough rows": ENOUGH_ROWS.get(row["status"], row["status"]),
            "gap, by the gate": gap_verdict_of_group(row["status"], gates.get(row["attribute"], "")),
        }
        for row in groups
    ]


def verdict_text(verdict: GateVerdict) -> str:
    """The gate's verdict in Markdown."""
    return "\n".join([f"# Gate: {verdict.status}", "", *(f"- {code_key(reason)}" for reason in verdict.reasons)])


def version_line(training: Training) -> str:
    """What happened to the model in the registry, in one line."""
    if training.fault:
        return training.fault
    version = training.version
    if version is None:
        return "Registered: nothing, because the gate did not pass"
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    status = "Registered" if version.is_new else "Already registered"
    return f"{status}: {version.model} version {version.number}{aliases}"
