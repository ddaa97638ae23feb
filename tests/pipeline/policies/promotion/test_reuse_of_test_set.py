"""Reuse of a test set: the levels of its judgements, and which test sets count as the same."""

import pytest

from pipeline.core.table import row_id
from pipeline.policies.promotion import alpha_spending, reuse_of_test_set
from pipeline.policies.promotion.reuse_of_test_set import share_of_common_rows, sketch_rows


def test_the_levels_of_all_judgements_sum_to_alpha() -> None:
    levels = [alpha_spending.level_of_judgement(0.95, judgement) for judgement in range(1, 2000)]
    assert levels[0] == pytest.approx(0.025) and levels == sorted(levels, reverse=True)
    assert 0.0499 < sum(levels) < 0.05


def test_sketches_give_the_share_of_common_rows() -> None:
    ids = [row_id("source", str(number)) for number in range(1000)]
    whole = sketch_rows(ids)
    assert len(whole) == reuse_of_test_set.SKETCH and share_of_common_rows(whole, sketch_rows(ids[::-1])) == 1
    assert share_of_common_rows(whole, sketch_rows(ids[:-1])) > 0.97
    assert share_of_common_rows(whole, sketch_rows(ids[:500])) == pytest.approx(0.5, abs=0.12)
    assert share_of_common_rows(sketch_rows(ids[:300]), sketch_rows(ids[300:600])) == 0
    assert share_of_common_rows([], []) == 0


def test_the_share_is_exact_while_test_sets_are_small() -> None:
    ids = [row_id("source", str(number)) for number in range(60)]
    assert share_of_common_rows(sketch_rows(ids[:40]), sketch_rows(ids[20:60])) == pytest.approx(20 / 60)
