"""The content of the promotion page, worked out from the verdict: sentences, numbers as text, positions on a line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.pages.facts import Fact, percentage_points
from pipeline.pages.figures import Dot
from pipeline.pages.grid import MISSING, format_value
from pipeline.policies.group_status import ENOUGH_ROWS
from pipeline.policies.promotion import PromotionVerdict
from pipeline.policies.promotion.verdict import ClassScores

STATUS_WORDS = {"promote": ("Promote", "good"), "refuse": ("Refuse", "bad"), "insufficient": ("Insufficient", "warn")}
METRIC_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
SHOWN_CLASSES = 20  # those that changed most; the others are folded away
STATUS_SENTENCES = {
    "promote": "It may take the champion's place.",
    "refuse": "The champion stays.",
    "insufficient": "The rows cannot tell, which is not a pass: the champion stays.",
}


@dataclass(frozen=True)
class Shift:
    """One test for drift of the data since the champion was trained, and its result.

    ``status`` is drift, none or insufficient (too few rows to test, where p, size and limit are None).
    """

    name: str
    status: str
    old: int  # rows that the champion learned from
    new: int  # rows since
    p: float | None = None
    size: float | None = None
    limit: float | None = None  # a significant shift of at least this size is drift


@dataclass(frozen=True)
class ChangeLine:
    """Both models' values, in percent of a line's length."""

    champion: float
    challenger: float


def headline(verdict: PromotionVerdict) -> str:
    """The verdict in two sentences."""
    lead, margin = verdict.lead, verdict.margin
    side = "above" if lead.low > margin else "below" if lead.high < margin else "on both sides of"
    return (
        f"{STATUS_SENTENCES[verdict.status]} On {format_value(verdict.rows.compared)} test rows version "
        f"{verdict.challenger.version} has a {METRIC_NAMES[verdict.metric]} of {format_value(lead.challenger)}, the "
        f"champion, version {verdict.champion.version}, of {format_value(lead.champion)}: a lead of "
        f"{percentage_points(lead.difference)} points, whose interval ({percentage_points(lead.low)} to "
        f"{percentage_points(lead.high)}) lies {side} the margin of {margin * 100:g}."
    )


def facts(verdict: PromotionVerdict) -> list[Fact]:
    """The numbers at the head of the page."""
    reuse, agreement = verdict.test_set_reuse, verdict.agreement
    won, lost = agreement.challenger_only, agreement.champion_only
    return [
        Fact("Lead", f"{percentage_points(verdict.lead.difference)}", f"points of {METRIC_NAMES[verdict.metric]}"),
        Fact("Rows compared", format_value(verdict.rows.compared), f"of {format_value(verdict.rows.total)}"),
        Fact(
            "Told apart by",
            format_value(won + lost),
            f"rows: {format_value(won)} for the challenger, {format_value(lost)} against",
        ),
        Fact("Judgement", f"{reuse.judgement} of {reuse.max_judgements}", "on these test rows"),
    ]


def scores(verdict: PromotionVerdict) -> dict[str, Any]:
    """Each metric of both models with the lead, its interval and a Dot. All Dots share one line, 0 in its middle."""
    bounds = [abs(bound) for lead in verdict.scores.values() for bound in (lead.low, lead.high)]
    reach = 1.15 * max(abs(verdict.margin), 0.01, *bounds)  # the longest whisker ends before the line does

    def position(difference: float) -> float:
        return round(50 + 50 * difference / reach, 1)

    rows = [
        {
            "name": METRIC_NAMES[name],
            "decides": name == verdict.metric,
            "champion": format_value(lead.champion),
            "challenger": format_value(lead.challenger),
            "lead": percentage_points(lead.difference),
            "interval": f"{percentage_points(lead.low)} to {percentage_points(lead.high)}",
            "dot": Dot(
                value=position(lead.difference),
                low=position(lead.low),
                high=position(lead.high),
                limit=position(verdict.margin) if name == verdict.metric else None,
            ),
        }
        for name, lead in verdict.scores.items()
    ]
    ends = {"start": percentage_points(-reach), "end": percentage_points(reach)}
    return {"rows": rows, **ends, "margin": f"{verdict.margin * 100:g} points"}


def groups(verdict: PromotionVerdict) -> list[dict[str, Any]]:
    """Each group attribute: the gaps of both models with intervals, and the accuracy of both models on each group."""
    return [
        {
            "name": gap.attribute,
            "status": gap.status,
            "enough_rows": ENOUGH_ROWS[gap.status],
            "small": gap.small,
            "champion": format_value(gap.champion),
            "challenger": format_value(gap.challenger),
            "interval": interval(gap.challenger_low, gap.challenger_high),
            "increase": MISSING if gap.increase is None else f"{gap.increase:+.3f}".replace("-", "−"),
            "increase_interval": interval(gap.increase_low, gap.increase_high),
            "groups": [
                {
                    "name": group.group,
                    "rows": format_value(group.rows),
                    "champion": format_value(group.champion),
                    "challenger": format_value(group.challenger),
                    "change": percentage_points(group.challenger - group.champion),
                    "status": group.status,
                    "line": ChangeLine(group.champion * 100, group.challenger * 100),
                }
                for group in gap.groups
            ],
        }
        for gap in verdict.gaps
    ]


def interval(low: float | None, high: float | None) -> str:
    """An interval as text, such as "−0.010 to 0.200"."""
    return MISSING if low is None or high is None else f"{format_value(low)} to {format_value(high)}".replace("-", "−")


def classes(verdict: PromotionVerdict) -> dict[str, Any]:
    """Each class with F1 of both models, the largest loss first. Classes that changed least are ``folded`` away."""

    def change(class_scores: ClassScores) -> float:
        return class_scores.challenger_f1 - class_scores.champion_f1

    most_changed = sorted(verdict.classes, key=lambda class_scores: -abs(change(class_scores)))[:SHOWN_CLASSES]
    shown: list[dict[str, Any]] = []
    folded: list[dict[str, Any]] = []
    for class_scores in sorted(verdict.classes, key=lambda class_scores: (change(class_scores), class_scores.name)):
        row = {
            "name": class_scores.name,
            "rows": format_value(class_scores.rows),
            "champion": format_value(class_scores.champion_f1),
            "challenger": format_value(class_scores.challenger_f1),
            "change": percentage_points(change(class_scores)),
            "line": ChangeLine(class_scores.champion_f1 * 100, class_scores.challenger_f1 * 100),
        }
        (shown if class_scores in most_changed else folded).append(row)
    return {"shown": shown, "folded": folded}


def test_set_reuse(verdict: PromotionVerdict) -> dict[str, Any]:
    """How far the test set is used up, and whether fresh labels are due."""
    reuse = verdict.test_set_reuse
    due = "Fresh test labels are due." if reuse.fresh_labels_due else "Fresh test labels are not due yet."
    needed = (
        ""
        if reuse.rows_needed is None or verdict.status == "promote"
        else f" To show the measured lead it would take about {format_value(reuse.rows_needed)} test rows."
    )
    return {
        "share": round(min(1.0, reuse.judgement / reuse.max_judgements) * 100, 1),
        "count": f"{reuse.judgement} of {reuse.max_judgements} judgements",
        "due": reuse.fresh_labels_due,
        "sentences": (
            f"{due} Each judgement on the same test rows uses some of them up, so its bounds are wider than the last "
            f"one's: this one is wrong with a chance of {reuse.level:.4f} at most. A true lead of "
            f"{percentage_points(reuse.detectable)} points over the margin would be shown 4 times out of 5 now, one of "
            f"{percentage_points(reuse.next_detectable)} at the next judgement.{needed}"
        ),
    }


def row_sentences(verdict: PromotionVerdict) -> list[str]:
    """Which test rows were compared, and which were not: a sentence each."""
    rows = verdict.rows
    compared, total = format_value(rows.compared), format_value(rows.total)
    sentences = [f"{compared} of {total} test rows of the challenger's own data were compared."]
    if rows.left_out is None:
        sentences.append(
            "The champion's training rows could not be had, so no row was left out: if it has seen some of these, they "
            "flatter it."
        )
    else:
        left_out = format_value(rows.left_out)
        sentences.append(f"{left_out} were left out, because the champion was trained or tuned on them.")
    if rows.unknown_to_champion:
        unknown = format_value(rows.unknown_to_champion)
        sentences.append(
            f"{unknown} compared rows have a class that the champion does not know; they count as wrong for it."
        )
    return sentences


def lineage_rows(lineage: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Line by line, what champion and challenger were made of, and whether they differ."""
    old, new = lineage.get("champion", {}), lineage.get("challenger", {})
    return [
        {
            "name": name.removeprefix("gleaner.").replace("_", " "),
            "champion": shorten_digest(old.get(name, MISSING)),
            "challenger": shorten_digest(new.get(name, MISSING)),
            "differs": old.get(name) != new.get(name),
        }
        for name in dict.fromkeys([*new, *old])
    ]


def shorten_digest(value: str) -> str:
    """The first 12 digits of a digest; any other value as it is."""
    return f"{value[:12]}…" if re.fullmatch("[0-9a-f]{32,}", value) else value
