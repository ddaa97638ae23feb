"""The choice of the round by validation rows, by folds of the gold rows, or by the agreement of the views."""

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import agreement, decisions, round_selection, teacher_estimate
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.spread import build_spread
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, fixed_view
from tests.support.pseudo_texts import cloud, gold, toy, unit

NO_ROWS = np.zeros(0, int)


def test_validation_rows_decide_where_there_are_any(pseudo_params: PseudoLabel) -> None:
    task = toy([4] * 3, [40] * 3, spread=0.6, signal=0.3)
    spread = build_spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 3, pseudo_params)
    build_view = fixed_view(View(task.seeds.texts, task.pool, task.test, spread))
    choice = round_selection.select_round(gold(task.seeds.labels), task.truth, build_view, 3, pseudo_params)
    assert choice.decided_by == "validation"
    assert choice.truth.tolist() == task.truth.tolist()
    assert choice.predicted.shape == (pseudo_params.rounds + 1, len(task.truth))
    assert choice.right_by_round is not None
    assert max(choice.right_by_round) / len(task.truth) > 0.9


def estimate_with_class_names(
    vectors: np.ndarray, labels: np.ndarray, names: np.ndarray, pseudo_params: PseudoLabel
) -> TeacherEstimate:
    """The estimate by folds of the rows where the names of four classes have these vectors."""
    seeds = gold(np.concatenate([labels, np.arange(4)])).assign(origin=["gold"] * len(labels) + ["class_name"] * 4)
    all_seeds, pool = Texts(np.concatenate([vectors, names])), Texts(cloud([50] * 4, 0.6, seed=1)[0])
    spread = build_spread(np.concatenate([all_seeds.vectors, pool.vectors]), 4, pseudo_params)
    build_view = fixed_view(View(all_seeds, pool, Texts(vectors[:0]), spread))
    return round_selection.select_round(seeds, NO_ROWS, build_view, 4, pseudo_params).estimate


def test_informative_class_names_choose_the_rows_of_round_1_unless_params_forbid_it(
    pseudo_params: PseudoLabel,
) -> None:
    vectors, labels = cloud([8] * 4, 0.6)
    names = unit(np.stack([vectors[labels == label].mean(axis=0) for label in range(4)]))
    assert estimate_with_class_names(vectors, labels, names, pseudo_params).names_first
    assert not estimate_with_class_names(
        vectors, labels, names, pseudo_params.model_copy(update={"names_first": False})
    ).names_first


def test_uninformative_class_names_do_not_choose_the_rows_of_round_1(pseudo_params: PseudoLabel) -> None:
    vectors, labels = cloud([8] * 4, 0.6)
    random_vectors = unit(np.random.default_rng(5).normal(size=(4, 16)))
    assert not estimate_with_class_names(vectors, labels, random_vectors, pseudo_params).names_first


@pytest.mark.parametrize("rows", [1, 2, 4])  # gold rows of each of three classes: 0, 6 and 12 rows are held out
@pytest.mark.parametrize("weight", [5.0, 0.0])
def test_with_few_held_out_rows_the_views_decide_whether_class_names_lead(
    pseudo_params: PseudoLabel, monkeypatch: pytest.MonkeyPatch, rows: int, weight: float
) -> None:
    """Class names are texts like any other here, as informative as a gold row; held-out rows do not decide."""

    def fail(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(decisions, "class_names_suffice", fail)
    monkeypatch.setattr(agreement, "agreement_z", lambda names_first, all_seeds: -0.9)
    task = toy([rows + 1] * 3, [200] * 3, spread=0.3, signal=0.6)
    labels = task.seeds.labels
    is_name = np.append(True, labels[1:] != labels[:-1])  # the first row of each class
    seeds = gold(labels).assign(origin=np.where(is_name, "class_name", "gold"), weight=np.where(is_name, weight, 5.0))
    spread = build_spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 3, pseudo_params)
    build_view = fixed_view(View(task.seeds.texts, task.pool, task.pool.take(NO_ROWS), spread))
    choice = round_selection.select_round(seeds, NO_ROWS, build_view, 3, pseudo_params.model_copy(update={"folds": 4}))
    assert len(choice.truth) == (0 if rows == 1 else 3 * rows)
    assert not choice.rejected
    assert choice.kept_round == pseudo_params.rounds
    assert choice.estimate.names_first == (weight > 0)


@pytest.mark.parametrize(("rows", "decided_by"), [(6, "validation"), (10, "folds")])
def test_few_validation_rows_decide_only_where_gold_rows_are_few_too(
    pseudo_params: PseudoLabel, rows: int, decided_by: str
) -> None:
    task = toy([rows] * 2, [50] * 2, spread=0.3, signal=0.6, test=4)
    spread = build_spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 2, pseudo_params)
    build_view = fixed_view(View(task.seeds.texts, task.pool, task.test, spread))
    choice = round_selection.select_round(gold(task.seeds.labels), task.truth, build_view, 2, pseudo_params)
    assert choice.decided_by == decided_by
    assert len(choice.truth) == (8 if decided_by == "validation" else 20)


@pytest.mark.parametrize("shift", [0, 1])
def test_class_names_are_used_unless_they_are_clearly_harmful(pseudo_params: PseudoLabel, shift: int) -> None:
    """Each class name lies at its class, or with the shift at another class."""
    vectors, labels = cloud([12] * 4, 0.8)
    means = unit(np.stack([vectors[labels == (label + shift) % 4].mean(axis=0) for label in range(4)]))
    seeds = gold(np.concatenate([labels, np.arange(4)])).assign(origin=["gold"] * 48 + ["class_name"] * 4)
    seeds.loc[seeds["origin"].eq("class_name"), "weight"] = 60.0
    pool, no_texts = Texts(cloud([50] * 4, 0.8, seed=1)[0]), Texts(vectors[:0])
    all_seeds = Texts(np.concatenate([vectors, means]))
    spread = build_spread(np.concatenate([all_seeds.vectors, pool.vectors]), 4, pseudo_params)
    choice = round_selection.select_round(
        seeds, NO_ROWS, fixed_view(View(all_seeds, pool, no_texts, spread)), 4, pseudo_params
    )
    assert choice.uses_class_names == (shift == 0)
    assert choice.right_by_round is not None
    assert max(choice.right_by_round) / 48 > 0.7


# Gold rows of each of two classes. Folds need four rows in all, and 20 held-out rows decide without the views.
@pytest.mark.parametrize("rows", [1, 4, 10])
@pytest.mark.parametrize("signal", [0.0, 0.6])  # share of the words that tell the classes apart
def test_with_few_held_out_rows_no_round_is_kept_unless_the_views_agree(
    pseudo_params: PseudoLabel, monkeypatch: pytest.MonkeyPatch, rows: int, signal: float
) -> None:
    """The last round is kept wherever a round may be kept; only the words of the two cases differ."""
    monkeypatch.setattr(decisions, "best_round", lambda scores, tolerance: len(scores) - 1)
    monkeypatch.setattr(decisions, "last_round_unless_harmful", lambda right: len(right) - 1)
    monkeypatch.setattr(round_selection, "clearly_better", lambda first, second: False)
    task = toy([rows] * 2, [300] * 2, spread=0.4, signal=signal)
    choice = task.select_round(pseudo_params)
    few = rows < 10
    assert (choice.agreement is not None) == few
    if few:
        assert choice.agreement is not None
        assert (choice.agreement >= pseudo_params.min_agreement) == (signal > 0)
    assert (choice.kept_round > 0) == (signal > 0 or not few)
    assert task.select_round(pseudo_params.model_copy(update={"min_agreement": 0.0})).kept_round > 0


@pytest.mark.parametrize(("harmed", "kept"), [(0, 5), (1, 5), (2, 0)])
def test_with_few_held_out_rows_and_agreeing_views_the_last_round_is_kept_unless_it_is_clearly_harmful(
    pseudo_params: PseudoLabel, monkeypatch: pytest.MonkeyPatch, harmed: int, kept: int
) -> None:
    """Round 0 has all eight rows right and the last round has ``harmed`` wrong; its Brier score is the worst."""
    logits = np.eye(2)[np.arange(8) % 2]  # each fold holds out one row of each class
    worse = np.where(np.arange(8)[:, None] < harmed, 1 - logits, logits * 0.1)

    def fixed_logits(fitted: object, round_number: int, mix_weight: float) -> np.ndarray:
        return worse if round_number == pseudo_params.rounds else logits

    for module in (round_selection, teacher_estimate):
        monkeypatch.setattr(module, "held_out_logits", fixed_logits)
    choice = toy([4] * 2, [100] * 2, spread=0.3, signal=0.6).select_round(pseudo_params)
    assert choice.right_by_round == [8] * pseudo_params.rounds + [8 - harmed]
    assert not choice.rejected
    assert choice.kept_round == kept


def test_with_few_held_out_rows_and_no_second_view_pseudo_labels_are_rejected(pseudo_params: PseudoLabel) -> None:
    without_words = pseudo_params.model_copy(
        update={"words": pseudo_params.words.model_copy(update={"mix_weights": []})}
    )
    for rows in (1, 4):
        choice = toy([rows] * 2, [50] * 2, spread=0.4, signal=0.6).select_round(without_words)
        assert (choice.kept_round, choice.agreement, choice.rejected) == (0, None, True)
    assert not toy([10] * 2, [50] * 2, spread=0.4, signal=0.6).select_round(without_words).rejected
    assert (
        not toy([1] * 2, [50] * 2, spread=0.4, signal=0.6)
        .select_round(pseudo_params.model_copy(update={"min_agreement": 0}))
        .rejected
    )
