"""What the promotion page says, worked out from the verdict: sentences, numbers as text, places on a line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.pages.facts import Fact, points
from pipeline.pages.figures import Dot
from pipeline.pages.grid import MISSING, show
from pipeline.policies.promotion import Verdict

WORDS = {"promote": ("Promote", "good"), "refuse": ("Refuse", "bad"), "insufficient": ("Insufficient", "warn")}
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
SHOWN = 20  # classes, those that changed most; the others are folded away
SENT = {
    "promote": "It may take the champion's place.",
    "refuse": "The champion stays.",
    "insufficient": "The rows cannot tell, which is not a pass: the champion stays.",
}


@dataclass(frozen=True)
class Shift:
    """One question on how far the data has moved since the champion was trained, and its answer.

    ``status`` is drift, none or insufficient (too few rows to look at, where p, size and limit are None).
    """

    name: str
    status: str
    old: int  # rows that the champion learned from
    new: int  # rows since
    p: float | None = None
    size: float | None = None
    limit: float | None = None  # the size from which it is drift, where it is no chance


@dataclass(frozen=True)
class Line:
    """Both models' values and the way from one to the other, in percent of a line's length."""

    champion: float
    challenger: float


def sentence(verdict: Verdict) -> str:
    """The verdict in two sentences."""
    lead, margin = verdict.lead, verdict.margin
    sure = "above" if lead.low > margin else "below" if lead.high < margin else "on both sides of"
    return (
        f"{SENT[verdict.status]} On {show(verdict.rows.compared)} test rows version {verdict.challenger.version} has a "
        f"{METRICS[verdict.metric]} of {show(lead.challenger)}, the champion, version {verdict.champion.version}, of "
        f"{show(lead.champion)}: a lead of {points(lead.difference)} points, whose interval ({points(lead.low)} to "
        f"{points(lead.high)}) lies {sure} the margin of {margin * 100:g}."
    )


def facts(verdict: Verdict) -> list[Fact]:
    """The numbers at the head of the page."""
    worn, agreed = verdict.wear, verdict.agreement
    return [
        Fact("Lead", f"{points(verdict.lead.difference)}", f"points of {METRICS[verdict.metric]}"),
        Fact("Rows compared", show(verdict.rows.compared), f"of {show(verdict.rows.total)}"),
        Fact(
            "Told apart by",
            show(agreed.challenger_only + agreed.champion_only),
            f"rows: {show(agreed.challenger_only)} for the challenger, {show(agreed.champion_only)} against",
        ),
        Fact("Judgement", f"{worn.judgement} of {worn.max_judgements}", "on these test rows"),
    ]


def scores(verdict: Verdict) -> dict[str, Any]:
    """Each metric of both models with the lead, its interval and a Dot; all Dots share one line, 0 in its middle."""
    found = list(verdict.scores.values())
    reach = 1.15 * max(abs(verdict.margin), 0.01, *(abs(one.low) for one in found), *(abs(one.high) for one in found))

    def at(difference: float) -> float:
        return round(50 + 50 * difference / reach, 1)

    rows = [
        {
            "name": METRICS[name],
            "decides": name == verdict.metric,
            "champion": show(one.champion),
            "challenger": show(one.challenger),
            "lead": points(one.difference),
            "interval": f"{points(one.low)} to {points(one.high)}",
            "dot": Dot(
                at(one.difference), at(one.low), at(one.high), at(verdict.margin) if name == verdict.metric else None
            ),
        }
        for name, one in verdict.scores.items()
    ]
    return {"rows": rows, "start": points(-reach), "end": points(reach), "margin": f"{verdict.margin * 100:g} points"}


def groups(verdict: Verdict) -> list[dict[str, Any]]:
    """Each attribute: gaps of both models with intervals, and the groups with both accuracies."""
    return [
        {
            "name": gap.attribute,
            "status": gap.status,
            "small": gap.small,
            "champion": show(gap.champion),
            "challenger": show(gap.challenger),
            "interval": span(gap.challenger_low, gap.challenger_high),
            "increase": MISSING if gap.increase is None else f"{gap.increase:+.3f}".replace("-", "−"),
            "increase_interval": span(gap.increase_low, gap.increase_high),
            "groups": [
                {
                    "name": group.group,
                    "rows": show(group.rows),
                    "champion": show(group.champion),
                    "challenger": show(group.challenger),
                    "change": points(group.challenger - group.champion),
                    "status": group.status,
                    "line": Line(group.champion * 100, group.challenger * 100),
                }
                for group in gap.groups
            ],
        }
        for gap in verdict.gaps
    ]


def span(low: float | None, high: float | None) -> str:
    """An interval, as in "−0.010 to 0.200"."""
    return MISSING if low is None or high is None else f"{show(low)} to {show(high)}".replace("-", "−")


def classes(verdict: Verdict) -> dict[str, Any]:
    """Each class with F1 of both models, the largest loss first; only the largest changes are shown at once."""
    changed = sorted(verdict.classes, key=lambda one: -abs(one.challenger_f1 - one.champion_f1))[:SHOWN]
    order = sorted(verdict.classes, key=lambda one: (one.challenger_f1 - one.champion_f1, one.name))
    rows = [
        {
            "name": one.name,
            "rows": show(one.rows),
            "champion": show(one.champion_f1),
            "challenger": show(one.challenger_f1),
            "change": points(one.challenger_f1 - one.champion_f1),
            "line": Line(one.champion_f1 * 100, one.challenger_f1 * 100),
            "shown": one in changed,
        }
        for one in order
    ]
    return {"shown": [row for row in rows if row["shown"]], "rest": [row for row in rows if not row["shown"]]}


def wear(verdict: Verdict) -> dict[str, Any]:
    """How far the test set is used up, and when fresh labels are due."""
    worn = verdict.wear
    due = "Fresh test labels are due." if worn.fresh_labels_due else "Fresh test labels are not due yet."
    needed = (
        ""
        if worn.rows_needed is None or verdict.status == "promote"
        else f" To show the measured lead it would take about {show(worn.rows_needed)} test rows."
    )
    return {
        "share": round(min(1.0, worn.judgement / worn.max_judgements) * 100, 1),
        "count": f"{worn.judgement} of {worn.max_judgements} judgements",
        "due": worn.fresh_labels_due,
        "says": (
            f"{due} Each judgement on the same test rows uses some of them up, so its bounds are wider than the last "
            f"one's: this one is wrong with a chance of {worn.level:.4f} at most. A true lead of "
            f"{points(worn.detectable)} points over the margin would be shown 4 times out of 5 now, one of "
            f"{points(worn.next_detectable)} at the next judgement.{needed}"
        ),
    }


def rows(verdict: Verdict) -> list[str]:
    """Which test rows were compared, and which were not: a sentence each."""
    found = verdict.rows
    said = [f"{show(found.compared)} of {show(found.total)} test rows of the challenger's own data were compared."]
    if found.left_out is None:
        said.append(
            "The champion's training rows could not be had, so no row was left out: if it has seen some of these, they "
            "flatter it."
        )
    else:
        said.append(f"{show(found.left_out)} were left out, because the champion was trained or tuned on them.")
    if found.unknown_to_champion:
        said.append(
            f"{show(found.unknown_to_champion)} compared rows have a class that the champion does not know; they count "
            "as wrong for it."
        )
    return said


def made_of(lineage: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """What each of the two was made of, line by line, with whether they differ."""
    old, new = lineage.get("champion", {}), lineage.get("challenger", {})
    return [
        {
            "name": name.removeprefix("gleaner.").replace("_", " "),
            "champion": cut(old.get(name, MISSING)),
            "challenger": cut(new.get(name, MISSING)),
            "differs": old.get(name) != new.get(name),
        }
        for name in dict.fromkeys([*new, *old])
    ]


def cut(value: str) -> str:
    """A value as it is, but of a digest as much as tells it apart."""
    return f"{value[:12]}…" if re.fullmatch("[0-9a-f]{32,}", value) else value
