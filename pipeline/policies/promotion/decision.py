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
from pipeline.policies.reasons import Reason, percent, points

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
        status=overall_status({line.status for line in lines}),
        reasons=tuple(map(str, lines)),
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


def check_judgements(reuse: TestSetReuse, limits: Promotion) -> Reason:
    """Whether the test rows may decide once more."""
    key = "promotion.max_judgements"
    sentence = f"judgement {reuse.judgement} on these test rows, at most {limits.max_judgements} allowed"
    if reuse.judgement > limits.max_judgements:
        return Reason("insufficient", f"{sentence}; label fresh test rows", key)
    return Reason("pass", sentence, key)


def check_rows(agreement: Agreement, limits: Gate) -> Reason:
    """Whether there are enough rows to compare the models at all."""
    sentence = f"{agreement.rows} rows are compared, at least {limits.min_test_rows} wanted"
    return Reason("pass" if agreement.rows >= limits.min_test_rows else "insufficient", sentence, "gate.min_test_rows")


def check_discordant_rows(agreement: Agreement, level: float) -> Reason:
    """Whether there are enough discordant rows for any outcome to be significant at ``level``."""
    least = alpha_spending.least_discordant_rows(level)
    sentence = f"only one model is right on {agreement.discordant} rows, at least {least} wanted at this level"
    return Reason("pass" if agreement.discordant >= least else "insufficient", sentence)


def check_lead(lead: LeadInterval, reuse: TestSetReuse, limits: Promotion) -> Reason:
    """Whether the challenger leads by more than the margin.

    The rule passes if the lower bound is above the margin, and fails if the upper bound is below it. If the margin lies
    between the bounds, the lead may be on either side of it, which is insufficient.
    """
    key = "promotion.margin"
    name = {"accuracy": "accuracy", "macro_f1": "macro-F1"}[limits.metric]
    sentence = (
        f"{name} is {percent(lead.challenger)} against {percent(lead.champion)}, a lead of {points(lead.difference)} "
        f"({lead.low * 100:+.2f} to {lead.high * 100:+.2f}), above {points(limits.margin)} wanted at the lower bound"
    )
    if lead.low > limits.margin:
        return Reason("pass", sentence, key)
    if lead.high < limits.margin or (lead.high == limits.margin and lead.difference < limits.margin):
        return Reason("fail", sentence, key)
    if reuse.rows_needed is None:
        return Reason("insufficient", f"{sentence}; cannot tell, and the measured lead is not above the margin", key)
    needed = f"cannot tell: this lead would take about {reuse.rows_needed} test rows"
    return Reason("insufficient", f"{sentence}; {needed}", key)


def check_gap_increases(gaps: tuple[GapComparison, ...], limit: float | None) -> list[Reason]:
    """The rule for each group attribute: whether the gap grew by at most ``limit``."""
    key = "promotion.max_gap_increase"
    if limit is None:
        return [Reason("off", "the limit is null", key)]
    if not gaps:
        return [Reason("not applicable", "the test rows have no group attributes", key)]
    return [check_gap_increase(gap, limit, key) for gap in gaps]


def check_gap_increase(gap: GapComparison, limit: float, key: str) -> Reason:
    """The rule for one attribute; an increase whose interval reaches 0 may be chance, so it is insufficient.

    The measured increase is compared, unlike the lead, whose lower bound has to convince. The bound that would convince
    here is the upper one. With 400 test rows it lies about 5 points above the measured increase, so that it would
    refuse nearly every version, those with the champion's own gaps among them. The gate limits the gap itself.
    """
    low, high = gap.increase_low, gap.increase_high
    if gap.increase is None or low is None or high is None or gap.champion is None or gap.challenger is None:
        small = f"; too few rows to judge {', '.join(gap.small)}" if gap.small else ""
        sentence = f"the gap by {gap.attribute} cannot be compared without two groups of enough rows{small}"
        return Reason("insufficient", sentence, key)
    sentence = (
        f"the gap by {gap.attribute} is {points(gap.challenger)} against {points(gap.champion)}, an increase of "
        f"{points(gap.increase)} ({low * 100:+.1f} to {high * 100:+.1f}), at most "
        f"{points(limit)} allowed at the measured value: its upper bound would refuse nearly every version"
    )
    if gap.increase <= limit:
        return Reason("pass", sentence, key)
    return Reason("insufficient" if low <= 0 else "fail", sentence, key)


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
