"""Decisions on class names and on the round to keep."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import decisions
from pipeline.stages.pseudo_label.spread import build_spread
from pipeline.stages.pseudo_label.views import View
from tests.support.pseudo_texts import ESTIMATE, toy

NO_ROWS = np.zeros(0, int)


def should_lead(
    pseudo_params: PseudoLabel, texts: np.ndarray, labels: np.ndarray, few: bool = False, weight: float = 5.0
) -> bool:
    """Whether class names should choose the rows of round 1.

    There are six classes, each with a class name and then a gold row of this weight. ``texts`` are positions of toy
    seeds, two for each class.
    """
    task = toy([2] * 6, [150] * 6, spread=1.0, signal=0.4)
    is_class_name = np.arange(12) % 2 == 0
    weights = np.where(is_class_name, 5.0, weight)
    seeds = replace(
        task.seeds, texts=task.seeds.texts.take(texts), labels=labels, weights=weights, is_class_name=is_class_name
    )
    spread = build_spread(np.concatenate([seeds.texts.vectors, task.pool.vectors]), 6, pseudo_params)
    view = View(seeds.texts, task.pool, task.pool.take(NO_ROWS), spread)
    if few:
        return decisions.decide_by_agreement(
            seeds, view, 6, ESTIMATE, pseudo_params.model_copy(update={"min_agreement": 0.0})
        )[0].names_first
    return decisions.class_names_should_lead(seeds, view, 6, ESTIMATE, pseudo_params)


def test_class_names_lead_where_the_views_then_agree_on_more_of_the_pool(pseudo_params: PseudoLabel) -> None:
    texts, labels = np.arange(12), np.repeat(np.arange(6), 2)
    wrong_labels = np.where(texts % 2, (labels + 1) % 6, labels)  # each gold row has the label of another class
    assert should_lead(pseudo_params, texts, wrong_labels)
    repeated_names = np.where(texts % 4 == 2, texts - 2, texts)  # every other class has the name of the class before it
    assert not should_lead(pseudo_params, repeated_names, labels)


def test_with_few_held_out_rows_class_names_lead_unless_the_views_then_agree_on_less(
    pseudo_params: PseudoLabel,
) -> None:
    texts, labels = np.arange(12), np.repeat(np.arange(6), 2)
    wrong_labels = np.where(texts % 2, (labels + 1) % 6, labels)
    assert should_lead(pseudo_params, texts, wrong_labels, few=True)
    assert not should_lead(
        pseudo_params, texts, wrong_labels, weight=0.015
    )  # gold rows of so little weight make no difference
    assert should_lead(pseudo_params, texts, wrong_labels, few=True, weight=0.015)
    repeated_names = np.where(texts % 4 == 2, texts - 2, texts)
    assert not should_lead(pseudo_params, repeated_names, labels, few=True)
    assert not should_lead(pseudo_params, texts, wrong_labels, few=True, weight=0.0)  # only class names have any weight


def logits_with(right: int, rows: int) -> np.ndarray:
    """Logits over four classes for rows whose classes alternate; ``right`` rows are predicted rightly."""
    truth = np.arange(rows) % 4
    return np.eye(4)[np.where(np.arange(rows) < right, truth, (truth + 1) % 4)]


@pytest.mark.parametrize(
    ("right_by_names", "right_by_all", "rows", "suffice"),
    [
        (24, 32, 32, True),  # two thirds of the skill
        (16, 32, 32, False),  # a third of it
        (2, 1, 4, True),  # more than a standard error above the one of four that chance gets
        (1, 0, 4, False),
        (10, 9, 32, False),  # chance gets 8, with a standard error of 2.4
    ],
)
def test_class_names_suffice_above_chance_and_with_half_the_skill_of_all_seeds(
    right_by_names: int, right_by_all: int, rows: int, suffice: bool
) -> None:
    assert (
        decisions.class_names_suffice(
            logits_with(right_by_names, rows), logits_with(right_by_all, rows), np.arange(rows) % 4
        )
        == suffice
    )


def kept_round(scores: list[float], tolerance: float) -> int:
    """The best round by mean scores on 25 rows; the standard error of a difference of 0.1 is 0.02."""
    signs = np.where(np.arange(25) % 2, 1.0, -1.0)
    return decisions.best_round(np.array([score + score * signs for score in scores]), tolerance)


def test_rounds_are_kept_only_where_they_help() -> None:
    assert kept_round([0.3, 0.5, 0.9], tolerance=0) == 0
    assert kept_round([0.3, 0.2998, 0.9], tolerance=0) == 0
    assert kept_round([0.5, 0.3002, 0.3], tolerance=0) == 2
    assert kept_round([0.5, 0.3, 0.3002], tolerance=0) == 2


def test_with_tolerance_a_later_round_within_chance_of_the_best_is_kept_if_it_beats_round_0() -> None:
    assert kept_round([0.9, 0.3, 0.4], tolerance=0) == 1
    assert kept_round([0.9, 0.3, 0.4], tolerance=6) == 2
    assert kept_round([0.35, 0.3, 0.4], tolerance=6) == 1
    assert kept_round([0.3, 0.4, 0.5], tolerance=6) == 0
    unsteady = 0.4 + 0.3 * np.where(np.arange(25) % 2, 1.0, -1.0)
    for without, kept in ((0.9, 2), (0.43, 1)):  # the unsteady round does not clearly beat a round 0 of 0.43
        assert decisions.best_round(np.stack([np.full(25, without), np.full(25, 0.3), unsteady]), tolerance=2) == kept
