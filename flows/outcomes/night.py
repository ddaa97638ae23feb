"""The outcome of a night: as a message to people, as metrics for MLflow, and as the history of all nights."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.padding import Padding

from flows.outcomes.terminal import escape
from pipeline.core.params import load_params
from pipeline.policies.drift import DriftReport
from pipeline.policies.monitoring.finding import TRAFFIC_REASONS, TrafficLook
from pipeline.policies.retraining import Decision, Situation

if TYPE_CHECKING:
    from flows.outcomes.training import Training
    from tasks.promotion_outcome import Promotion
    from tasks.refresh import IntakeCounts

Result = Literal["promoted", "waiting", "refused", "skipped", "failed"]
QUALITY_KEYS = ("[gate.min_accuracy]", "[gate.min_gain_over_probe]")  # of the lines of the gate that a night repeats
SITUATION_METRICS = ("new_rows", "new_labelled", "age_days")  # fields of Situation that are numbers of a night


@dataclass
class Night:
    """Everything that happened in a night; what it did not reach is None."""

    now: datetime
    outcome: Result = "failed"
    texts: "IntakeCounts | None" = None
    corrections: "IntakeCounts | None" = None
    errors: dict[str, tuple[int, int]] = field(default_factory=dict)  # version: corrected texts, wrong answers
    drift: DriftReport | None = None
    traffic: TrafficLook | None = None
    situation: Situation | None = None
    decision: Decision | None = None
    training: "Training | None" = None
    promotion: "Promotion | None" = None
    fault: str = ""  # why it failed
    is_user_error: bool = False  # whether the fault is a user's
    unsent: list[str] = field(default_factory=list)  # notifications that could not be sent
    is_notified: bool = False  # whether all notifications were sent, or tried
    remarks: list[str] = field(default_factory=list)  # of its training: rows set aside by file, why accuracy is low
    killed_before: tuple[str, ...] = ()  # a line for each night before this one that was killed
    unread_arrivals: tuple[str, ...] = ()  # names of arrival files that no training has read
    waiting: list[str] = field(default_factory=list)  # a line for each version that waits for a person's approval
    lapsed: list[str] = field(default_factory=list)  # a line for each that nobody answered since the night before

    @property
    def exit_code(self) -> int:
        """0 promoted, waiting for approval or nothing to do, 1 refused or failed, 2 user error."""
        if self.outcome == "failed":
            return 2 if self.is_user_error else 1
        return 1 if self.outcome == "refused" else 0

    @property
    def version(self) -> str | None:
        """The number of the version that was registered."""
        registered = self.training.version if self.training else None
        return registered.number if registered else None


def events(night: Night) -> set[str]:
    """The events of the night, by the names of params.notify.on."""
    drift = {"drift"} if night.drift and night.drift.status == "drift" else set()
    return {night.outcome} | drift | ({"waiting"} if night.waiting or night.lapsed else set())


def reason(night: Night) -> str:
    """Why the night ended as it did, in one line."""
    if night.outcome == "failed":
        return " ".join(night.fault.split())
    trained = night.decision.because if night.decision else ""
    if night.outcome == "skipped" and night.training is not None:
        return f"{trained}. The same data make version {night.version} again, which is champion"
    if night.promotion is not None:
        return f"{trained}. {night.promotion.message}"
    if night.outcome == "waiting":
        return f"{trained}. Version {night.version} is the first and waits for approval"
    verdict = night.training.verdict if night.training else None
    if night.outcome == "refused" and night.version is not None:
        again = f"`gleaner promote --version {night.version}` asks again"
        return f"{trained}. Version {night.version} passed the gate, but a person rejected it; {again}"
    if night.outcome == "refused" and verdict is not None:
        decisive = [line for line in verdict.reasons if line.startswith(verdict.status)]
        return f"{trained}. Gate: {verdict.status}; {'; '.join(decisive)}"
    return trained


def headline(night: Night) -> str:
    """The outcome in a few words."""
    version = f" version {night.version}" if night.version else ""
    is_also = {"drift": "drift" in events(night), "waiting": night.waiting, "lapsed": night.lapsed}
    also = [name for name, found in is_also.items() if found and name != night.outcome]
    return ", ".join([f"{night.outcome}{version}", *also])


def message_lines(night: Night) -> list[str]:
    """The message about a night, line by line; it holds no text of a row."""
    lines = [reason(night)]
    lines += quality_lines(night)
    lines += [line for line in [*night.waiting, *night.lapsed] if line not in lines[0]]
    lines += [
        counts.line(what) for what, counts in (("texts", night.texts), ("corrections", night.corrections)) if counts
    ]
    lines += night.remarks
    if night.unread_arrivals:
        lines.append(f"arrivals that no training had read: {', '.join(night.unread_arrivals)}")
    lines += [
        f"version {version}: wrong in {wrong} of {rows} corrected texts"
        for version, (rows, wrong) in night.errors.items()
    ]
    lines += remaining_criteria(night)
    lines += [test.line for test in night.drift.tests] if night.drift else []
    lines += traffic_lines(night)
    return [*lines, *night.killed_before]


def traffic_lines(night: Night) -> list[str]:
    """What was found in the champion's traffic and is no reason to train, such as misuse; it is told all the same."""
    found = night.traffic.found if night.traffic else ()
    return [f"found in traffic: {each.title}: {each.sentence}" for each in found if each.name not in TRAFFIC_REASONS]


def quality_lines(night: Night) -> list[str]:
    """What the gate said of the accuracy of a model that it let pass, alone and beside the baseline."""
    verdict = night.training.verdict if night.training else None
    if verdict is None or verdict.status != "pass":
        return []
    return [line for line in verdict.reasons if line.endswith(QUALITY_KEYS)]


def remaining_criteria(night: Night) -> list[str]:
    """The criteria that `reason` leaves out: those that did not decide, and after a fault all of them."""
    if night.decision is None:
        return []
    decided = "yes: " if night.decision.train else "no: "
    return [line for line in night.decision.reasons if night.outcome == "failed" or not line.startswith(decided)]


def night_metrics(night: Night) -> dict[str, float]:
    """The metrics that the night's MLflow run records: name -> value."""
    metrics: dict[str, float] = {"crashed_before": len(night.killed_before)}
    for what, counts in (("texts", night.texts), ("corrections", night.corrections)):
        metrics |= {f"{what}.{key}": count for key, count in counts.as_dict().items()} if counts else {}
    for version, (rows, wrong) in night.errors.items():
        metrics |= {f"errors.version_{version}.rows": rows, f"errors.version_{version}.wrong": wrong}
    for test in night.drift.tests if night.drift else ():
        prefix = f"drift.{test.name.replace(' ', '_')}"
        metrics |= {f"{prefix}.old": test.old, f"{prefix}.new": test.new}
        metrics |= (
            {f"{prefix}.p": test.p, f"{prefix}.size": test.size} if test.p is not None and test.size is not None else {}
        )
    for finding in night.traffic.findings if night.traffic else ():
        if finding.value is not None and not finding.key:
            metrics[f"traffic.{finding.name}"] = finding.value
    if night.situation is not None:
        names = [item.name for item in fields(night.situation) if item.name in SITUATION_METRICS]
        values = {name: getattr(night.situation, name) for name in names}
        metrics |= {name: value for name, value in values.items() if value is not None}
    return metrics


def read_nights(root: Path) -> list[dict[str, Any]]:
    """Every recorded night, oldest first; see `tasks.registry.nights`."""
    from tasks.registry import nights

    return nights.all_nights(root, load_params(root / "params.yaml"))


def print_nights(rows: list[dict[str, Any]]) -> None:
    """Print each night in a line, and its reason below the line: in a log, a column for it would be too narrow."""
    console = Console(highlight=False)
    console.print("[bold]Nights[/]")
    for row in rows:
        version = f"version {row['version']}" if row["version"] else ""
        cells = [f"{row['when']:%Y-%m-%d}  {row['outcome']:<8}  {version:<10}"]
        if "texts.new" in row:
            cells.append(f"{int(row['texts.new'])} new rows, {int(row['texts.labelled'])} labelled")
        if corrections := int(row.get("corrections.new", 0)):
            cells.append(f"{corrections} corrections")
        if flag := row["tags"].get("gleaner.drift"):
            cells.append(f"drift: {flag}")
        console.print(escape("  ".join(cells).rstrip()), style="none" if row["outcome"] == "skipped" else "bold")
        console.print(Padding(escape(row["reasons"]), (0, 0, 0, 12), expand=False), style="dim")
