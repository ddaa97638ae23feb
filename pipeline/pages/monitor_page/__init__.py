"""The page of a look at traffic: what was found, in words and numbers, and where the traffic changed most.

No text of a request is on it.
"""

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from pipeline.pages.environment import environment, style
from pipeline.pages.facts import Fact
from pipeline.pages.grid import MISSING, Grid, format_value, to_grid
from pipeline.policies.monitoring.advice import list_advice
from pipeline.policies.monitoring.finding import SLICE_CAPTIONS, TrafficFinding, TrafficLook
from pipeline.policies.reasons import percent

__all__ = ["render"]

TAGS = {"found": ("found", "bad"), "none": ("no", "good"), "insufficient": ("insufficient", "warn"), "off": ("off", "")}


def render(look: TrafficLook, model: str, inbox: str | None) -> str:
    """The page as HTML; ``inbox`` is the folder from which a night takes new texts, None without one."""
    template = environment(Path(__file__).parent).get_template("monitor.html.j2")
    return template.render(
        title=f"Traffic of {look.title}",
        style=Markup(style()),
        model=model,
        verdict=verdict(look),
        headline=headline(look),
        facts=facts(look),
        findings=[(finding, *TAGS[finding.status]) for finding in look.findings],
        numbers=numbers(look),
        advice=list_advice(look, inbox),
        labels=slices(look, "label"),
        keys=slices(look, "key"),
        note=look.note,
        damaged=look.damaged,
    )


def verdict(look: TrafficLook) -> tuple[str, str]:
    """The outcome in a word, and its colour."""
    if look.found:
        return f"{len(look.found)} found", "bad"
    is_unsure = any(finding.status == "insufficient" for finding in look.findings)
    return ("nothing found, but not all could be asked", "warn") if is_unsure else ("nothing found", "good")


def headline(look: TrafficLook) -> str:
    """What was looked at, in a sentence."""
    return (
        f"{format_value(look.rows)} texts, {format_value(look.texts)} of them distinct, came with "
        f"{format_value(look.keys)} keys from {look.since:%Y-%m-%d %H:%M} to {look.until:%Y-%m-%d %H:%M} UTC. "
        "They are compared with what the version was trained on."
    )


def facts(look: TrafficLook) -> list[Fact]:
    """The numbers at the head of the page."""
    accuracy, abstained, texts = (look.named(name) for name in ("accuracy", "abstained", "texts"))
    return [
        Fact("Estimated accuracy", shown(accuracy.value), interval(accuracy) or "too few answers"),
        Fact("Without a label", shown(abstained.value), interval(abstained) or "too few texts"),
        Fact("Separation of texts", format_value(texts.value), "0.5 is no difference from the training's"),
        Fact("Texts", format_value(look.rows), f"{format_value(look.texts)} distinct"),
    ]


def shown(share: float | None) -> str:
    """A share as a percentage; a dash without one."""
    return MISSING if share is None else percent(share)


def interval(finding: TrafficFinding) -> str:
    """The interval of a share in words; empty without one."""
    return "" if finding.low is None or finding.high is None else f"{percent(finding.low)} to {percent(finding.high)}"


def numbers(look: TrafficLook) -> Grid:
    """The numbers of all findings."""
    names = ("value", "low", "high", "limit", "rows")
    rows = [{"finding": each.title} | {name: getattr(each, name) for name in names} for each in look.findings]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(names[:-1], float))
    return to_grid(frame, "What was measured; a finding lies beyond its limit, surely where it has an interval")


def slices(look: TrafficLook, by: str) -> Grid | None:
    """The slices of one kind; None without any."""
    rows = [
        {
            by: part.title,
            "texts": part.rows,
            "change" if by == "label" else "changed": part.change,
            "confidence": part.confidence,
            "share": part.share,
        }
        for part in look.slices
        if part.by == by
    ]
    return to_grid(pd.DataFrame(rows), SLICE_CAPTIONS[by], bars="share") if rows else None
