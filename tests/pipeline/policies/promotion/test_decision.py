"""The decision on a promotion: what is promoted, what is refused, and what is insufficient."""

import json
from pathlib import Path

import pytest

from pipeline.policies.promotion import PromotionVerdict, decide_promotion, from_json, to_json
from tests.support.promotion_case import case, leading, limits

EXAMPLE = Path(__file__).parents[3] / "support" / "promotion_example.json"


def decide(wins: int, losses: int, judgement: int = 1, rows: int = 400, **changes: object) -> PromotionVerdict:
    return decide_promotion(leading(wins, losses, rows), judgement, *limits(**changes))


def reason(verdict: PromotionVerdict, rule: str) -> str:
    (line,) = [line for line in verdict.reasons if rule in line]
    return line


def test_a_challenger_that_is_clearly_better_is_promoted() -> None:
    verdict = decide(30, 6)
    assert verdict.status == "promote" and {line.split(":")[0] for line in verdict.reasons} == {"pass"}
    assert verdict.lead.difference == pytest.approx(24 / 400)
    assert 0 < verdict.lead.low < verdict.lead.difference


def test_a_clearly_worse_challenger_is_refused_and_an_unclear_one_is_insufficient() -> None:
    worse, unsure, same = decide(6, 30), decide(12, 8), decide(0, 0)
    assert worse.status == "refuse" and reason(worse, ".margin]").startswith("fail: accuracy is ")
    assert unsure.status == "insufficient" and worse.lead.high < 0 < unsure.lead.high
    needed = unsure.test_set_reuse.rows_needed
    assert f"; cannot tell: this lead would take about {needed} test rows [" in reason(unsure, ".margin]")
    assert needed is not None and needed > 1000
    assert same.status == "insufficient"
    assert reason(same, "only one model").startswith("insufficient: only one model is right on 0 rows")
    assert "; cannot tell, and the measured lead is not above the margin [" in reason(same, ".margin]")


def test_a_lead_within_the_margin_is_not_enough() -> None:
    assert decide(30, 6, margin=0.02).status == "promote"
    assert decide(30, 6, margin=0.05).status == "insufficient"
    assert decide(30, 6, margin=0.2).status == "refuse"


def test_each_further_judgement_of_a_test_set_asks_for_a_larger_lead() -> None:
    first, tenth = decide(24, 8), decide(24, 8, judgement=10)
    assert first.status == "promote" and tenth.status == "insufficient"
    assert first.lead.low > tenth.lead.low
    assert first.test_set_reuse.detectable < tenth.test_set_reuse.detectable
    assert tenth.test_set_reuse.level == pytest.approx(0.05 / 110)


def test_a_used_up_test_set_is_insufficient_and_asks_for_fresh_labels() -> None:
    last = decide(60, 6, judgement=20)
    assert last.status == "promote" and last.test_set_reuse.fresh_labels_due
    beyond = decide(60, 6, judgement=21)
    assert beyond.status == "insufficient" and "; label fresh test rows [" in reason(beyond, "max_judgements")
    assert not decide(60, 6).test_set_reuse.fresh_labels_due
    assert decide(60, 6, max_detectable=0.01).test_set_reuse.fresh_labels_due


def test_too_few_rows_are_insufficient() -> None:
    few = decide(30, 2, rows=90)
    assert few.status == "insufficient" and reason(few, "min_test_rows").startswith(
        "insufficient: 90 rows are compared"
    )


def test_a_gap_that_grew_refuses_a_better_model() -> None:
    groups = {
        "new": {"both": 140, "challenger": 60},
        "old": {"both": 140, "challenger": 4, "champion": 2, "neither": 54},
    }
    verdict = decide_promotion(case(groups), 1, *limits(max_group_gap=None))
    assert verdict.status == "refuse"
    assert reason(verdict, "max_gap_increase").startswith("fail: the gap by customer is")
    assert verdict.gaps[0].increase == pytest.approx(0.28 - 0.01)
    without_limits = limits(max_group_gap=None, max_gap_increase=None)
    assert decide_promotion(case(groups), 1, *without_limits).status == "promote"
    wide = decide_promotion(case(groups), 1, *limits(max_gap_increase=None))
    assert wide.status == "refuse" and reason(wide, "max_group_gap").startswith(
        "fail: accuracy by customer is 28 points lower for old than for new"
    )


def test_groups_that_are_too_small_are_insufficient() -> None:
    groups = {"new": {"both": 180, "challenger": 40}, "old": {"both": 10}}
    verdict = decide_promotion(case(groups), 1, *limits())
    assert verdict.status == "insufficient"
    assert "; too few rows to judge old [" in reason(verdict, "max_gap_increase")


def test_a_gap_that_may_have_grown_by_chance_is_insufficient() -> None:
    groups = {"new": {"both": 90, "challenger": 30}, "old": {"both": 26, "challenger": 4, "champion": 1, "neither": 4}}
    verdict = decide_promotion(case(groups), 1, *limits(max_group_gap=None, max_gap_increase=0.01))
    assert reason(verdict, "max_gap_increase").startswith("insufficient: the gap by customer is")


def test_macro_f1_decides_where_params_choose_it() -> None:
    verdict = decide(30, 6, metric="macro_f1")
    assert verdict.status == "promote" and verdict.lead == verdict.scores["macro_f1"]


@pytest.mark.parametrize(("wins", "losses"), [(4, 0), (5, 0), (6, 0), (9, 1), (9, 2), (20, 8), (20, 9)])
def test_the_lower_bound_of_a_verdict_is_at_most_the_exact_one(wins: int, losses: int) -> None:
    from pipeline.policies.promotion.comparison import Agreement, exact_accuracy_bounds

    low, _ = exact_accuracy_bounds(Agreement(360 - wins - losses, wins, losses, 40), 0.025)
    assert decide(wins, losses).lead.low <= low + 1e-12


def test_the_layout_of_promotion_json_is_that_of_the_example() -> None:
    groups = {
        "business": {"both": 110, "challenger": 14, "champion": 4, "neither": 6},
        "private": {"both": 230, "challenger": 20, "champion": 8, "neither": 8},
    }
    content = to_json(decide_promotion(case(groups), 3, *limits()))
    example = json.loads(EXAMPLE.read_text())
    assert json.loads(json.dumps(content)) == example and to_json(from_json(example)) == content
