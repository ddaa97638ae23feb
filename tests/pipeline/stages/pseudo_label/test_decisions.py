"""What decides who leads round 1 and which round is kept, and the scores that tell."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.params import Params, PseudoLabel
from pipeline.stages.pseudo_label import agreement, decisions, scores
from pipeline.stages.pseudo_label.spread import spread
from pipeline.stages.pseudo_label.views import View
from tests.support.pseudo_texts import BELIEF, toy

NOBODY = np.zeros(0, int)


@pytest.fixture
def own(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


def should_lead(
    own: PseudoLabel, texts: np.ndarray, labels: np.ndarray, few: bool = False, weight: float = 5.0
) -> bool:
    """Whether names should lead: one of each of six classes, and a gold row of this weight after each.

    ``texts`` are positions of toy seeds, two a class.
    """
    task = toy([2] * 6, [150] * 6, spread=1.0, signal=0.4)
    names = np.arange(12) % 2 == 0
    weights = np.where(names, 5.0, weight)
    lesson = replace(task.seeds, texts=task.seeds.texts.pick(texts), labels=labels, weights=weights, names=names)
    around = spread(np.concatenate([lesson.texts.vectors, task.pool.vectors]), 6, own)
    view = View(lesson.texts, task.pool, task.pool.pick(NOBODY), around)
    if few:
        return decisions.consult(lesson, view, 6, BELIEF, own.model_copy(update={"min_agreement": 0.0}))[0].names_first
    return decisions.names_lead(lesson, view, 6, BELIEF, own)


def test_names_lead_where_vectors_and_words_then_agree_on_more_of_the_pool(own: PseudoLabel) -> None:
    texts, labels = np.arange(12), np.repeat(np.arange(6), 2)
    astray = np.where(texts % 2, (labels + 1) % 6, labels)  # each gold row lies in another class than it says
    assert should_lead(own, texts, astray)
    doubled = np.where(texts % 4 == 2, texts - 2, texts)  # each other name says what the one before it says
    assert not should_lead(own, doubled, labels)


def test_where_few_rows_are_held_out_names_lead_unless_the_views_then_agree_on_less(own: PseudoLabel) -> None:
    texts, labels = np.arange(12), np.repeat(np.arange(6), 2)
    astray = np.where(texts % 2, (labels + 1) % 6, labels)
    assert should_lead(own, texts, astray, few=True)
    assert not should_lead(own, texts, astray, weight=0.015)  # hardly heard, gold rows make no difference
    assert should_lead(own, texts, astray, few=True, weight=0.015)
    doubled = np.where(texts % 4 == 2, texts - 2, texts)
    assert not should_lead(own, doubled, labels, few=True)
    assert not should_lead(own, texts, astray, few=True, weight=0.0)  # names are all there is


def answers_with(right: int, rows: int) -> np.ndarray:
    """Logits over four classes, of which so many are right, for rows whose classes take turns."""
    truth = np.arange(rows) % 4
    return np.eye(4)[np.where(np.arange(rows) < right, truth, (truth + 1) % 4)]


@pytest.mark.parametrize(
    ("names", "everything", "rows", "enough"),
    [
        (24, 32, 32, True),  # two thirds of the skill
        (16, 32, 32, False),  # a third of it
        (2, 1, 4, True),  # by more than a standard error above the one of four that guessing gets
        (1, 0, 4, False),
        (10, 9, 32, False),  # guessing gets 8, and its standard error is 2.4
    ],
)
def test_names_know_enough_above_chance_and_with_half_the_skill_of_all_seeds(
    names: int, everything: int, rows: int, enough: bool
) -> None:
    told = decisions.know_enough(answers_with(names, rows), answers_with(everything, rows), np.arange(rows) % 4)
    assert told == enough


def kept_round(scores: list[float], patience: float) -> int:
    """Of mean scores on 25 rows, which a round adds to or takes from one row in two: errors of 0.02 for each 0.1."""
    spread = np.where(np.arange(25) % 2, 1.0, -1.0)
    return decisions.best(np.array([score + score * spread for score in scores]), patience)


def test_rounds_are_kept_only_where_they_help() -> None:
    assert kept_round([0.3, 0.5, 0.9], patience=0) == 0
    assert kept_round([0.3, 0.2998, 0.9], patience=0) == 0
    assert kept_round([0.5, 0.3002, 0.3], patience=0) == 2
    assert kept_round([0.5, 0.3, 0.3002], patience=0) == 2


def test_with_patience_a_later_round_is_kept_that_chance_may_have_put_behind_but_none_worse_than_no_rounds() -> None:
    assert kept_round([0.9, 0.3, 0.4], patience=0) == 1
    assert kept_round([0.9, 0.3, 0.4], patience=6) == 2
    assert kept_round([0.35, 0.3, 0.4], patience=6) == 1
    assert kept_round([0.3, 0.4, 0.5], patience=6) == 0
    unsteady = 0.4 + 0.3 * np.where(np.arange(25) % 2, 1.0, -1.0)
    for without, kept in ((0.9, 2), (0.43, 1)):  # then, it may be no better than no rounds
        assert decisions.best(np.stack([np.full(25, without), np.full(25, 0.3), unsteady]), patience=2) == kept


def test_the_loss_is_least_for_the_surest_right_answers_whatever_their_scale() -> None:
    truth = np.arange(30) % 3
    mostly = np.eye(3)[np.where(np.arange(30) < 3, (truth + 1) % 3, truth)]
    assert scores.loss(mostly, truth) == pytest.approx(scores.loss(7 * mostly, truth), abs=1e-3)
    assert scores.loss(np.eye(3)[truth], truth) < scores.loss(mostly, truth)


def test_the_brier_score_is_not_decided_by_a_single_sure_mistake() -> None:
    truth, surely = np.zeros(20, dtype=int), np.tile([2.0, 0.0], (20, 1))
    one, four = surely.copy(), surely.copy()
    one[0], four[:4] = [0.0, 8.0], [0.0, 1.0]
    assert scores.loss(one, truth) > scores.loss(four, truth)
    assert scores.brier(one, truth).mean() < scores.brier(four, truth).mean()
    assert scores.brier(surely, truth) == pytest.approx(0, abs=1e-3)


def test_views_that_give_all_rows_one_class_agree_by_chance() -> None:
    one = np.zeros(50, dtype=int)
    assert agreement.kappa(np.stack([one, one])) == 0
    some = np.arange(50) % 2
    assert agreement.kappa(np.stack([some, some])) == 1
    assert agreement.kappa(np.stack([some, 1 - some])) == 0
    assert agreement.kappa(np.stack([some, np.where(np.arange(50) < 10, 1 - some, some)])) == pytest.approx(0.6)
