"""What a night came to: told to people, recorded as numbers, and read back as the history of all nights."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from pipeline.core.params import load
from pipeline.policies.drift import Drift
from pipeline.policies.retraining import Decision, Situation

if TYPE_CHECKING:
    from flows.outcomes.training import Training
    from tasks.promote import Promotion
    from tasks.refresh import IntakeCounts

Result = Literal["promoted", "refused", "skipped", "failed"]


@dataclass
class Night:
    """What a night came to; what was not reached is None."""

    now: datetime
    outcome: Result = "failed"
    texts: "IntakeCounts | None" = None
    corrections: "IntakeCounts | None" = None
    errors: dict[str, tuple[int, int]] = field(default_factory=dict)  # version: corrections it was asked about, wrong
    drift: Drift | None = None
    found: Situation | None = None
    decision: Decision | None = None
    training: "Training | None" = None
    promotion: "Promotion | None" = None
    fault: str = ""  # why it failed
    mistake: bool = False  # the fault is a user's
    unsent: list[str] = field(default_factory=list)  # notifications that could not be sent
    announced: bool = False  # people were told, as far as they could be
    crashed_before: int = 0
    files: tuple[str, ...] = ()  # of arrivals that no training has read yet

    @property
    def exit_code(self) -> int:
        """0 promoted or nothing to do, 1 refused or failed, 2 a user's mistake."""
        if self.outcome == "failed":
            return 2 if self.mistake else 1
        return 1 if self.outcome == "refused" else 0

    @property
    def version(self) -> str | None:
        """The number of the version that was registered."""
        made = self.training.version if self.training else None
        return made.number if made else None


def events(night: Night) -> set[str]:
    """What there is to tell of, by the names that params.notify.on knows."""
    return {night.outcome} | ({"drift"} if night.drift and night.drift.status == "drift" else set())


def because(night: Night) -> str:
    """Why the night ended as it did, in one line."""
    if night.outcome == "failed":
        return " ".join(night.fault.split())
    trained = night.decision.because if night.decision else ""
    if night.outcome == "skipped" and night.training is not None:
        return f"{trained}. The same data make version {night.version} again, which is champion"
    if night.promotion is not None:
        return f"{trained}. {night.promotion.said}"
    verdict = night.training.verdict if night.training else None
    if night.outcome == "refused" and verdict is not None:
        stood = [line for line in verdict.reasons if line.startswith((verdict.status,))]
        return f"{trained}. Gate: {verdict.status}; {'; '.join(stood)}"
    return trained


def headline(night: Night) -> str:
    """The outcome in a few words."""
    version = f" version {night.version}" if night.version else ""
    return f"{night.outcome}{version}" + (", drift" if "drift" in events(night) else "")


def told(night: Night) -> list[str]:
    """All that a person wants to know of a night, a line each; no text of a row."""
    lines = [because(night)]
    lines += [taken.line(what) for what, taken in (("texts", night.texts), ("corrections", night.corrections)) if taken]
    if night.files:
        lines.append(f"arrivals that no training had read: {', '.join(night.files)}")
    lines += [
        f"version {one}: wrong in {wrong} of {rows} corrected texts" for one, (rows, wrong) in night.errors.items()
    ]
    lines += others(night)
    lines += [test.line for test in night.drift.tests] if night.drift else []
    if night.crashed_before:
        lines.append("the night before was killed; this one went on from there")
    return lines


def others(night: Night) -> list[str]:
    """The criteria that `because` has not told: those that did not decide, and after a fault all of them."""
    if night.decision is None:
        return []
    decided = "yes: " if night.decision.train else "no: "
    return [line for line in night.decision.reasons if night.outcome == "failed" or not line.startswith(decided)]


def numbers(night: Night) -> dict[str, float]:
    """Every number of a night by name."""
    found: dict[str, float] = {"crashed_before": night.crashed_before}
    for what, taken in (("texts", night.texts), ("corrections", night.corrections)):
        found |= {f"{what}.{key}": count for key, count in taken.numbers().items()} if taken else {}
    for version, (rows, wrong) in night.errors.items():
        found |= {f"errors.version_{version}.rows": rows, f"errors.version_{version}.wrong": wrong}
    for test in night.drift.tests if night.drift else ():
        place = f"drift.{test.name.replace(' ', '_')}"
        found |= {f"{place}.old": test.old, f"{place}.new": test.new}
        found |= (
            {f"{place}.p": test.p, f"{place}.size": test.size} if test.p is not None and test.size is not None else {}
        )
    if night.found is not None:
        counted = ("new_rows", "new_labelled", "age_days")
        values = {one.name: getattr(night.found, one.name) for one in fields(night.found) if one.name in counted}
        found |= {key: number for key, number in values.items() if number is not None}
    return found


def history(root: Path) -> list[dict[str, Any]]:
    """Every recorded night, oldest first; see `tasks.registry.nights`."""
    from tasks.registry import nights

    return nights.nights(root, load(root / "params.yaml"))


def show(rows: list[dict[str, Any]]) -> None:
    """All nights, each a line and below it why it ended so: a column for that would be too narrow in a log."""
    console = Console(highlight=False)
    console.print("[bold]Nights[/]")
    for row in rows:
        version = f"version {row['version']}" if row["version"] else ""
        said = [f"{row['when']:%Y-%m-%d}  {row['outcome']:<8}  {version:<10}"]
        if "texts.new" in row:
            said.append(f"{int(row['texts.new'])} new rows, {int(row['texts.labelled'])} labelled")
        if flag := row["tags"].get("gleaner.drift"):
            said.append(f"drift: {flag}")
        console.print(escape("  ".join(said).rstrip()), style="none" if row["outcome"] == "skipped" else "bold")
        console.print(Padding(escape(row["reasons"]), (0, 0, 0, 12), expand=False), style="dim")
