"""The estimate of a teacher's reliability, from held-out rows or from params."""

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import round_selection
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, fixed_view
from tests.support.pseudo_texts import cloud, gold, unit

NO_ROWS = np.zeros(0, int)


def reliability_of(vectors: np.ndarray, labels: np.ndarray, pseudo_params: PseudoLabel) -> float:
    """The reliability of a teacher of the first half of the rows, with the second half as validation rows."""
    half = len(labels) // 2
    view = View(Texts(vectors[:half]), Texts(vectors[:0]), Texts(vectors[half:]), NoSpreading())
    return round_selection.select_round(
        gold(labels[:half]), labels[half:], fixed_view(view), 4, pseudo_params
    ).estimate.reliability


def test_a_guessing_teacher_is_unreliable_and_a_perfect_one_reliable(pseudo_params: PseudoLabel) -> None:
    random = np.random.default_rng(0)
    vectors, labels = cloud([300] * 4, 0.1)
    shuffled = random.permutation(1200)
    assert reliability_of(vectors[shuffled], labels[shuffled], pseudo_params) > 0.95
    assert reliability_of(unit(random.normal(size=(1200, 16))), random.integers(4, size=1200), pseudo_params) < 0.1


def test_reliability_is_measured_on_gold_rows_that_the_teacher_has_not_seen(pseudo_params: PseudoLabel) -> None:
    """Random labels can be memorised, which does not make a teacher reliable."""
    vectors = unit(np.random.default_rng(0).normal(size=(200, 16)))
    no_texts = Texts(vectors[:0])
    random_labels = np.random.default_rng(1).integers(4, size=200)
    view = View(Texts(vectors), no_texts, no_texts, NoSpreading())
    assert (
        round_selection.select_round(
            gold(random_labels), NO_ROWS, fixed_view(view), 4, pseudo_params
        ).estimate.reliability
        < 0.15
    )


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_with_too_few_gold_rows_reliability_and_mix_weight_come_from_params(
    pseudo_params: PseudoLabel, rows: int
) -> None:
    vectors, labels = cloud([rows, 0, 0], 0.3)
    no_texts = Texts(vectors[:0])
    view = View(Texts(vectors), no_texts, no_texts, NoSpreading())
    choice = round_selection.select_round(gold(labels), NO_ROWS, fixed_view(view), 3, pseudo_params)
    assert choice.decided_by.startswith("none")
    assert (choice.kept_round, choice.agreement) == (0, None)  # there is no pool
    assert choice.right_by_round is None
    assert choice.estimate.temperature == 1
    assert choice.estimate.reliability == pseudo_params.teacher_reliability
    assert choice.estimate.mix_weight == sorted(pseudo_params.words.mix_weights)[1]
