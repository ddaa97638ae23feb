"""The policy of promotion: two models' answers to the same rows against the limits of params.yaml, as one verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.params import Fairness, Gate, Promotion
from pipeline.policies import gate
from pipeline.policies.promotion import alpha_spending, comparison
from pipeline.policies.promotion.comparison import Agreement, Cells, Interval
from pipeline.policies.promotion.groups import Gap, as_metrics, gaps
from pipeline.policies.promotion.verdict import Class, Model, Rows, Status, Verdict, Wear

GATE_LIMITS = {"min_test_rows", "max_group_gap"}  # limits of the gate that count here, too


@dataclass(frozen=True)
class Case:
    """What is to be judged.

    ``table`` has a row for each compared test row: id, ``label``, ``champion`` and ``challenger`` (their answers),
    and the group attributes.
    """

    model: str
    champion: Model
    challenger: Model
    table: pd.DataFrame
    rows: Rows


def judge(case: Case, judgement: int, limits: Promotion, gate_limits: Gate, fairness: Fairness) -> Verdict:
    """The verdict; ``judgement`` counts those made on these test rows, this one included."""
    level = alpha_spending.level(limits.confidence, judgement)
    labels = sorted({*case.table["label"], *case.table["champion"], *case.table["challenger"]})
    cells = count(case.table, labels)
    scores = comparison.compare(cells, level, limits.bootstrap, limits.seed)
    agreed, measured = comparison.agreement(cells), gaps(case.table, fairness)
    worn = wear_of(scores[limits.metric], agreed.rows, judgement, limits)
    lines = [
        rested(worn, limits),
        enough_rows(agreed, gate_limits),
        better(scores[limits.metric], worn, limits),
        enough_apart(agreed, level),
        *gate.group_gaps(gate_limits.max_group_gap, as_metrics(measured)),
        *increases(measured, limits.max_gap_increase),
    ]
    found = {status for status, _ in lines}
    status: Status = "refuse" if "fail" in found else "insufficient" if "insufficient" in found else "promote"
    return Verdict(
        status=status,
        reasons=tuple(f"{one}: {text}" for one, text in lines),
        model=case.model,
        champion=case.champion,
        challenger=case.challenger,
        metric=limits.metric,
        margin=limits.margin,
        rows=case.rows,
        scores=scores,
        agreement=agreed,
        classes=tuple(by_class(cells, labels)),
        gaps=measured,
        wear=worn,
        limits=in_force(limits, gate_limits, fairness),
    )


def in_force(limits: Promotion, gate_limits: Gate, fairness: Fairness) -> dict[str, Any]:
    """The params that a verdict depends on.

    All limits stand under "gate", as they did before they had a section each: the promotion log knows a pair that was
    judged before by the digest of this.
    """
    return {
        "gate": gate_limits.model_dump(mode="json", include=GATE_LIMITS) | limits.model_dump(mode="json"),
        "fairness": fairness.model_dump(mode="json", include={"min_group_size", "bootstrap", "interval", "seed"}),
    }


def count(table: pd.DataFrame, labels: list[str]) -> Cells:
    """The answers as counts over the labels of either model and of the rows."""
    places = {label: place for place, label in enumerate(labels)}
    truth, old, new = (table[name].map(places).to_numpy(int) for name in ("label", "champion", "challenger"))
    return comparison.count(truth, old, new, len(labels))


def wear_of(lead: Interval, rows: int, judgement: int, limits: Promotion) -> Wear:
    """How far the test set is used up."""
    levels = [alpha_spending.level(limits.confidence, k) for k in (judgement, judgement + 1)]
    now, then = (alpha_spending.detectable(lead.error, rows, one) for one in levels)
    blunt = limits.max_detectable is not None and then > limits.max_detectable
    return Wear(
        judgement=judgement,
        max_judgements=limits.max_judgements,
        level=levels[0],
        detectable=now,
        next_detectable=then,
        rows_needed=alpha_spending.rows_needed(lead.error, rows, lead.difference - limits.margin, levels[0]),
        fresh_labels_due=blunt or judgement >= limits.max_judgements,
    )


def rested(worn: Wear, limits: Promotion) -> tuple[str, str]:
    """Whether these test rows may still decide."""
    text = f"max_judgements: judgement {worn.judgement} on these test rows, at most {limits.max_judgements} wanted"
    if worn.judgement > limits.max_judgements:
        return "insufficient", f"{text}; label fresh test rows"
    return "pass", text


def enough_rows(agreed: Agreement, limits: Gate) -> tuple[str, str]:
    """Whether there are rows enough to compare at all."""
    status = "pass" if agreed.rows >= limits.min_test_rows else "insufficient"
    return status, f"min_test_rows: {agreed.rows} rows compared, at least {limits.min_test_rows} wanted"


def enough_apart(agreed: Agreement, level: float) -> tuple[str, str]:
    """Whether so many rows tell the models apart that any outcome could convince."""
    least = alpha_spending.rows_that_tell(level)
    text = f"rows that only one model has right: {agreed.told_apart}, at least {least} wanted at this level"
    return "pass" if agreed.told_apart >= least else "insufficient", text


def better(lead: Interval, worn: Wear, limits: Promotion) -> tuple[str, str]:
    """Whether the challenger leads by more than the margin; a lead that may lie on either side of it is insufficient.

    That it does not is a failure only where the models could have been told apart at all.
    """
    text = (
        f"margin: {limits.metric} {lead.challenger:.4f} against {lead.champion:.4f}, lead {lead.difference:+.4f} "
        f"({lead.low:+.4f} to {lead.high:+.4f}), above {limits.margin:g} wanted at the lower bound"
    )
    if lead.low > limits.margin:
        return "pass", text
    if lead.high < limits.margin or (lead.high == limits.margin and lead.difference < limits.margin):
        return "fail", text
    if worn.rows_needed is None:
        return "insufficient", f"{text}; cannot tell, and the measured lead is not above the margin"
    return "insufficient", f"{text}; cannot tell: this lead would take about {worn.rows_needed} test rows"


def increases(measured: tuple[Gap, ...], limit: float | None) -> list[tuple[str, str]]:
    """Status and text for each group attribute; an increase whose interval reaches 0 may be chance."""
    name = "max_gap_increase"
    if limit is None:
        return [("off", f"{name} is null")]
    if not measured:
        return [("not applicable", f"{name}: the test rows have no group attributes")]
    return [increase(f"{name} of {gap.attribute}", gap, limit) for gap in measured]


def increase(name: str, gap: Gap, limit: float) -> tuple[str, str]:
    """Status and text for one attribute."""
    if gap.increase is None or gap.increase_low is None or gap.champion is None or gap.challenger is None:
        return (
            "insufficient",
            f"{name}: expected two groups of enough rows; too few rows to judge {', '.join(gap.small)}",
        )
    text = (
        f"{name}: gap {gap.challenger:.4f} against {gap.champion:.4f}, {gap.increase:+.4f} "
        f"({gap.increase_low:+.4f} to {gap.increase_high:+.4f}), at most {limit:g} wanted"
    )
    if gap.increase <= limit:
        return "pass", text
    return "insufficient" if gap.increase_low <= 0 else "fail", text


def by_class(cells: Cells, labels: list[str]) -> Iterator[Class]:
    """Each class with its rows and both models' F1."""
    rows = np.bincount(cells.truth, weights=cells.counts, minlength=len(labels))
    scores = []
    for answers in (cells.champion, cells.challenger):
        hits = np.bincount(cells.truth, weights=cells.counts * (answers == cells.truth), minlength=len(labels))
        total = rows + np.bincount(answers, weights=cells.counts, minlength=len(labels))
        scores.append(2 * hits / np.maximum(total, 1))
    for place, label in enumerate(labels):
        yield Class(label, int(rows[place]), float(scores[0][place]), float(scores[1][place]))
