"""The decision on a promotion: two models' answers to the same rows against the limits of params.yaml, as a verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.params import Fairness, Gate, Promotion
from pipeline.metrics import statistics
from pipeline.policies import gate
from pipeline.policies.promotion import alpha_spending, comparison
from pipeline.policies.promotion.comparison import Agreement, AnswerCounts, LeadInterval
from pipeline.policies.promotion.groups import GapComparison, compare_gaps, to_gate_metrics
from pipeline.policies.promotion.reuse_of_test_set import measure_reuse
from pipeline.policies.promotion.verdict import (
    ClassScores,
    ComparedModel,
    ComparedRows,
    PromotionStatus,
    PromotionVerdict,
    TestSetReuse,
)

GATE_LIMITS = {"min_test_rows", "max_group_gap"}  # limits of the gate that a promotion must meet, too
NO_LIMITS = {"approval", "approval_days"}  # params of the section promotion that no verdict depends on


@dataclass(frozen=True)
class PromotionCase:
    """Champion and challenger with their answers: everything that the decision needs but the limits.

    ``table`` has a row for each compared test row: ``id``, ``label``, ``champion`` and ``challenger`` (the labels that
    the models give), and the group attributes.
    """

    model: str
    champion: ComparedModel
    challenger: ComparedModel
    table: pd.DataFrame
    rows: ComparedRows


def decide_promotion(
    case: PromotionCase, judgement: int, limits: Promotion, gate_limits: Gate, fairness: Fairness
) -> PromotionVerdict:
    """Decide whether the challenger takes the champion's place.

    ``judgement`` counts the judgements of these test rows, this one included.
    """
    level = alpha_spending.level_of_judgement(limits.confidence, judgement)
    labels = sorted({*case.table["label"], *case.table["champion"], *case.table["challenger"]})
    answers = count_by_label(case.table, labels)
    scores = comparison.compare_models(answers, level, limits.bootstrap, limits.seed)
    agreement, gaps = comparison.count_agreement(answers), compare_gaps(case.table, fairness)
    reuse = measure_reuse(scores[limits.metric], agreement.rows, judgement, limits)
    lines = [
        check_judgements(reuse, limits),
        check_rows(agreement, gate_limits),
        check_lead(scores[limits.metric], reuse, limits),
        check_discordant_rows(agreement, level),
        *gate.check_group_gaps(gate_limits.max_group_gap, to_gate_metrics(gaps)),
        *check_gap_increases(gaps, limits.max_gap_increase),
    ]
    return PromotionVerdict(
        status=overall_status({status for status, _ in lines}),
        reasons=tuple(f"{status}: {text}" for status, text in lines),
        model=case.model,
        champion=case.champion,
        challenger=case.challenger,
        metric=limits.metric,
        margin=limits.margin,
        rows=case.rows,
        scores=scores,
        agreement=agreement,
        classes=tuple(scores_by_class(answers, labels)),
        gaps=gaps,
        test_set_reuse=reuse,
        limits=limits_in_force(limits, gate_limits, fairness),
    )


def overall_status(statuses: set[str]) -> PromotionStatus:
    """Refuse if any rule fails, else insufficient if any rule is insufficient, else promote."""
    return "refuse" if "fail" in statuses else "insufficient" if "insufficient" in statuses else "promote"


def limits_in_force(limits: Promotion, gate_limits: Gate, fairness: Fairness) -> dict[str, Any]:
    """The params that a verdict depends on.

    All limits are in one mapping under "gate", as before the section promotion existed. The promotion log finds the
    verdict on an earlier pair by a digest of this content, so that another layout would make such verdicts unknown.
    """
    return {
        "gate": gate_limits.model_dump(mode="json", include=GATE_LIMITS)
        | limits.model_dump(mode="json", exclude=NO_LIMITS),
        "fairness": fairness.model_dump(mode="json", include={"min_group_size", "bootstrap", "interval", "seed"}),
    }


def count_by_label(table: pd.DataFrame, labels: list[str]) -> AnswerCounts:
    """The answers in ``table`` counted, with classes numbered in the order of ``labels``."""
    indices = {label: index for index, label in enumerate(labels)}
    truth, old, new = (table[name].map(indices).to_numpy(int) for name in ("label", "champion", "challenger"))
    return comparison.count_answers(truth, old, new, len(labels))


def check_judgements(reuse: TestSetReuse, limits: Promotion) -> tuple[str, str]:
    """Status and text: whether the test rows may decide once more."""
    text = f"max_judgements: judgement {reuse.judgement} on these test rows, at most {limits.max_judgements} wanted"
    if reuse.judgement > limits.max_judgements:
        return "insufficient", f"{text}; label fresh test rows"
    return "pass", text


def check_rows(agreement: Agreement, limits: Gate) -> tuple[str, str]:
    """Status and text: whether there are enough rows to compare the models at all."""
    status = "pass" if agreement.rows >= limits.min_test_rows else "insufficient"
    return status, f"min_test_rows: {agreement.rows} rows compared, at least {limits.min_test_rows} wanted"


def check_discordant_rows(agreement: Agreement, level: float) -> tuple[str, str]:
    """Status and text: whether there are enough discordant rows for any outcome to be significant at ``level``."""
    least = alpha_spending.least_discordant_rows(level)
    text = f"rows that only one model has right: {agreement.discordant}, at least {least} wanted at this level"
    return "pass" if agreement.discordant >= least else "insufficient", text


def check_lead(lead: LeadInterval, reuse: TestSetReuse, limits: Promotion) -> tuple[str, str]:
    """Status and text: whether the challenger leads by more than the margin.

    The rule passes if the lower bound is above the margin, and fails if the upper bound is below it. If the margin lies
    between the bounds, the lead may be on either side of it, which is insufficient.
    """
    text = (
        f"margin: {limits.metric} {lead.challenger:.4f} against {lead.champion:.4f}, lead {lead.difference:+.4f} "
        f"({lead.low:+.4f} to {lead.high:+.4f}), above {limits.margin:g} wanted at the lower bound"
    )
    if lead.low > limits.margin:
        return "pass", text
    if lead.high < limits.margin or (lead.high == limits.margin and lead.difference < limits.margin):
        return "fail", text
    if reuse.rows_needed is None:
        return "insufficient", f"{text}; cannot tell, and the measured lead is not above the margin"
    return "insufficient", f"{text}; cannot tell: this lead would take about {reuse.rows_needed} test rows"


def check_gap_increases(gaps: tuple[GapComparison, ...], limit: float | None) -> list[tuple[str, str]]:
    """Status and text for each group attribute: whether the gap grew by at most ``limit``."""
    name = "max_gap_increase"
    if limit is None:
        return [("off", f"{name} is null")]
    if not gaps:
        return [("not applicable", f"{name}: the test rows have no group attributes")]
    return [check_gap_increase(f"{name} of {gap.attribute}", gap, limit) for gap in gaps]


def check_gap_increase(name: str, gap: GapComparison, limit: float) -> tuple[str, str]:
    """Status and text for one attribute; an increase whose interval reaches 0 may be chance, so it is insufficient."""
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


def scores_by_class(answers: AnswerCounts, labels: list[str]) -> Iterator[ClassScores]:
    """Each class with its rows and the F1 of both models."""
    rows = np.bincount(answers.truth, weights=answers.counts, minlength=len(labels))
    f1_by_model = []
    for predicted in (answers.champion, answers.challenger):
        right = answers.counts * (predicted == answers.truth)
        hits = np.bincount(answers.truth, weights=right, minlength=len(labels))
        total = rows + np.bincount(predicted, weights=answers.counts, minlength=len(labels))
        f1_by_model.append(statistics.f1_by_class(hits, total))
    for label, class_rows, champion_f1, challenger_f1 in zip(labels, rows, *f1_by_model, strict=True):
        yield ClassScores(label, int(class_rows), float(champion_f1), float(challenger_f1))
