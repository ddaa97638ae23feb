"""The policy of promotion: what is told apart, what cannot be told, and what a test set has left."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.table import make, row_id
from pipeline.metrics import statistics
from pipeline.policies.promotion import (
    Verdict,
    alpha_spending,
    comparison,
    from_json,
    judge,
    seen,
    shared,
    sketch,
    to_json,
)
from pipeline.policies.promotion.comparison import Agreement
from tests.support.judging import case, leading, limits

EXAMPLE = Path(__file__).parents[3] / "support" / "promotion_example.json"


def verdict(wins: int, losses: int, judgement: int = 1, rows: int = 400, **changes: object) -> Verdict:
    return judge(leading(wins, losses, rows), judgement, *limits(**changes))


def line(found: Verdict, rule: str) -> str:
    (one,) = [reason for reason in found.reasons if f": {rule}" in reason]
    return one


def test_a_challenger_that_is_clearly_better_is_promoted() -> None:
    found = verdict(30, 6)
    assert found.status == "promote" and {one.split(":")[0] for one in found.reasons} == {"pass"}
    assert found.lead.difference == pytest.approx(24 / 400) and 0 < found.lead.low < found.lead.difference


def test_one_that_is_clearly_worse_is_refused_and_one_that_cannot_be_told_apart_is_insufficient() -> None:
    worse, unsure, same = verdict(6, 30), verdict(12, 8), verdict(0, 0)
    assert worse.status == "refuse" and line(worse, "margin").startswith("fail: margin: accuracy")
    assert unsure.status == "insufficient" and worse.lead.high < 0 < unsure.lead.high
    assert line(unsure, "margin").endswith(f"this lead would take about {unsure.wear.rows_needed} test rows")
    assert unsure.wear.rows_needed is not None and unsure.wear.rows_needed > 1000
    assert same.status == "insufficient" and line(same, "rows that only").startswith("insufficient: rows that only one")
    assert line(same, "margin").endswith("cannot tell, and the measured lead is not above the margin")


def test_a_lead_within_the_margin_is_not_enough() -> None:
    assert verdict(30, 6, margin=0.02).status == "promote"
    assert verdict(30, 6, margin=0.05).status == "insufficient"
    assert verdict(30, 6, margin=0.2).status == "refuse"


def test_every_judgement_of_a_test_set_asks_for_more() -> None:
    first, tenth = verdict(24, 8), verdict(24, 8, judgement=10)
    assert first.status == "promote" and tenth.status == "insufficient"
    assert first.lead.low > tenth.lead.low and first.wear.detectable < tenth.wear.detectable
    assert tenth.wear.level == pytest.approx(0.05 / 110)


def test_a_worn_test_set_tells_nothing_more() -> None:
    assert verdict(60, 6, judgement=20).status == "promote" and verdict(60, 6, judgement=20).wear.fresh_labels_due
    worn = verdict(60, 6, judgement=21)
    assert worn.status == "insufficient" and line(worn, "max_judgements").endswith("label fresh test rows")
    assert not verdict(60, 6).wear.fresh_labels_due and verdict(60, 6, max_detectable=0.01).wear.fresh_labels_due


def test_too_few_rows_are_insufficient() -> None:
    few = verdict(30, 2, rows=90)
    assert few.status == "insufficient" and line(few, "min_test_rows").startswith("insufficient: min_test_rows: 90")


def test_a_gap_that_grew_refuses_a_better_model() -> None:
    groups = {
        "new": {"both": 140, "challenger": 60},
        "old": {"both": 140, "challenger": 4, "champion": 2, "neither": 54},
    }
    found = judge(case(groups), 1, *limits(max_group_gap=None))
    assert found.status == "refuse" and line(found, "max_gap_increase").startswith("fail: max_gap_increase of customer")
    assert found.gaps[0].increase == pytest.approx(0.28 - 0.01)
    assert judge(case(groups), 1, *limits(max_group_gap=None, max_gap_increase=None)).status == "promote"
    wide = judge(case(groups), 1, *limits(max_gap_increase=None))
    assert wide.status == "refuse" and line(wide, "max_group_gap").startswith("fail: max_group_gap of customer")


def test_groups_that_are_too_small_are_insufficient() -> None:
    found = judge(case({"new": {"both": 180, "challenger": 40}, "old": {"both": 10}}), 1, *limits())
    assert found.status == "insufficient" and line(found, "max_gap_increase").endswith("too few rows to judge old")


def test_a_gap_that_may_have_grown_by_chance_is_insufficient() -> None:
    groups = {"new": {"both": 90, "challenger": 30}, "old": {"both": 26, "challenger": 4, "champion": 1, "neither": 4}}
    found = judge(case(groups), 1, *limits(max_group_gap=None, max_gap_increase=0.01))
    assert line(found, "max_gap_increase").startswith("insufficient: max_gap_increase of customer")


def test_macro_f1_decides_where_it_is_asked_for_and_is_that_of_the_reports() -> None:
    found = verdict(30, 6, metric="macro_f1")
    assert found.status == "promote" and found.lead == found.scores["macro_f1"]
    rng = np.random.default_rng(0)
    truth, old, new = rng.integers(0, 5, (3, 200))
    cells = comparison.count(truth, old, new, 5)
    measured = comparison.both(cells.counts[None], cells)[:, 0]
    for place, answers in enumerate((old, new)):
        counts = statistics.confusion(truth, answers, 5)
        assert measured[place] == pytest.approx([statistics.accuracy(counts), statistics.macro_f1(counts)])


def test_a_class_that_the_champion_never_answers_counts_as_wrong_for_it() -> None:
    truth, old, new = np.array([0] * 50 + [1] * 50 + [2] * 50), np.array([0] * 100 + [1] * 50), np.repeat([0, 1, 2], 50)
    cells = comparison.count(truth, old, new, 3)
    found = comparison.compare(cells, 0.025, 1000, 0)["accuracy"]
    assert (found.champion, found.challenger) == (pytest.approx(1 / 3), 1.0)
    assert comparison.agreement(cells) == Agreement(both=50, challenger_only=100, champion_only=0, neither=0)


@pytest.mark.parametrize(("wins", "losses"), [(4, 0), (5, 0), (6, 0), (9, 1), (9, 2), (20, 8), (20, 9)])
def test_accuracys_lower_bound_is_above_0_only_where_the_sign_test_rejects(wins: int, losses: int) -> None:
    from scipy.stats import binomtest

    rejects = binomtest(wins, wins + losses, alternative="greater").pvalue <= 0.025
    low, high = comparison.exact_bounds(Agreement(360 - wins - losses, wins, losses, 40), 0.025)
    assert (low > 0) == rejects and low < (wins - losses) / 400 < high or losses == 0
    assert verdict(wins, losses).lead.low <= low + 1e-12


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("apart", [0.03, 0.2])
def test_models_that_are_equally_good_are_seldom_called_better(metric: str, apart: float) -> None:
    """At 10% a bound; 400 simulations err by 1.5 points, so 14.5% would be three of those beyond."""
    rng, level, rows, wrong = np.random.default_rng(1), 0.1, 200, 0
    for seed in range(400):
        truth = rng.integers(0, 3, rows)
        other, chance = (truth + rng.integers(1, 3, rows)) % 3, rng.random(rows)
        old = np.where((chance < apart / 2) | (chance > 0.9), other, truth)
        new = np.where((chance >= apart / 2) & (chance < apart) | (chance > 0.9), other, truth)
        cells = comparison.count(truth, old, new, 3)
        wrong += comparison.compare(cells, level, 400, seed)[metric].low > 0
    assert wrong / 400 < level + 0.045


def test_levels_sum_to_what_all_judgements_may_err() -> None:
    levels = [alpha_spending.level(0.95, judgement) for judgement in range(1, 2000)]
    assert levels[0] == pytest.approx(0.025) and levels == sorted(levels, reverse=True)
    assert 0.0499 < sum(levels) < 0.05


def test_test_sets_are_the_same_while_they_share_most_rows() -> None:
    ids = [row_id("source", str(place)) for place in range(1000)]
    whole = sketch(ids)
    assert len(whole) == alpha_spending.SKETCH and shared(whole, sketch(ids[::-1])) == 1
    assert shared(whole, sketch(ids[:-1])) > 0.97 and shared(whole, sketch(ids[:500])) == pytest.approx(0.5, abs=0.12)
    assert shared(sketch(ids[:300]), sketch(ids[300:600])) == 0 and shared([], []) == 0
    assert shared(sketch(ids[:40]), sketch(ids[20:60])) == pytest.approx(20 / 60)  # exact while they are small


def test_rows_that_a_model_knows_are_found_by_id_source_and_text() -> None:
    rows = make(id=["1", "2", "3", "4"], source_id=["1", "9", "3", "4"], text=list("abcd"), origin="gold")
    known = make(id=["1", "9", "7"], source_id=["1", "9", "7"], text=["x", "y", " c "], origin="gold")
    assert seen(rows, [known]).tolist() == [True, True, True, False] and not seen(rows, []).any()


def test_the_layout_of_promotion_json_is_that_of_the_example() -> None:
    groups = {
        "business": {"both": 110, "challenger": 14, "champion": 4, "neither": 6},
        "private": {"both": 230, "challenger": 20, "champion": 8, "neither": 8},
    }
    found = to_json(judge(case(groups), 3, *limits()))
    example = json.loads(EXAMPLE.read_text())
    assert json.loads(json.dumps(found)) == example and to_json(from_json(example)) == found
