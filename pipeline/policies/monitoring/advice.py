"""What to do about the findings of a look, in a line for each kind and key."""

from collections.abc import Iterable

from pipeline.policies.monitoring.finding import TRAFFIC_REASONS, TrafficFinding, TrafficLook
from pipeline.policies.monitoring.traffic import ANYONE

MISUSE = ("near_copies", "near_border", "flood")


def list_advice(look: TrafficLook, inbox: str | None) -> list[str]:
    """A line for each thing to do; ``inbox`` is the folder from which a night takes new texts, None without one."""
    folder = inbox or "the folder of refresh.inbox, which is null and has to be set"
    lines = []
    if other := [finding for finding in look.found if finding.name in TRAFFIC_REASONS]:
        lines.append(
            f"{titles(other)}: put texts like these into {folder} and run `gleaner retrain`; of those without a label, "
            "`gleaner suggest 50` chooses which to label"
        )
    if any(finding.name == "feedback" for finding in look.found):
        lines.append("feedback: run `gleaner retrain`, which learns from the labels that people gave")
    if any(finding.name == "abstained" for finding in look.found):
        lines.append(
            f"abstained: put such texts into {folder} and run `gleaner retrain`; `gleaner suggest 50` then lists "
            "candidates for new classes (docs/how-to/choose-what-to-label.md)"
        )
    misuse = [finding for finding in look.found if finding.name in MISUSE]
    for key in sorted({finding.key for finding in misuse}):
        of_key = [finding for finding in misuse if finding.key == key]
        stop = f"ask whoever has the key; `gleaner keys revoke {key}` stops it"
        if key == ANYONE:
            stop = "serve without `--no-auth`, so that who asks has a key that can be revoked"
        lines.append(f"{titles(of_key)}: {stop}. What was sent before counts until the window has passed")
    return lines


def titles(findings: Iterable[TrafficFinding]) -> str:
    """The titles of findings, such as "texts, answers"."""
    return ", ".join(finding.title for finding in findings)
