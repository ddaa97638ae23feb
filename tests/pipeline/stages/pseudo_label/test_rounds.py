"""Self-training on synthetic texts: what rounds gain, and what they bear."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import rounds
from pipeline.stages.pseudo_label.features import Texts
from pipeline.stages.pseudo_label.heads import fit_linear
from tests.support.pseudo_texts import Toy, toy


def probe_accuracy(task: Toy) -> float:
    """The accuracy of a regression on the gold rows alone."""
    gold = task.seeds.is_gold.astype(float)
    return task.accuracy(fit_linear(task.texts.vectors[: len(gold)], task.seeds.labels, gold, task.classes))


def test_rounds_gain_over_the_first_heads_and_the_probe(pseudo_params: PseudoLabel) -> None:
    task = toy([1, 1, 1, 1], [150] * 4, spread=1.0)
    trained = task.train(pseudo_params)
    assert len(trained.rounds) == pseudo_params.rounds + 1
    last = task.accuracy(trained.rounds[-1].heads)
    assert last > task.accuracy(trained.rounds[0].heads) and last > probe_accuracy(task)


def test_where_near_texts_are_of_other_classes_a_single_round_follows(pseudo_params: PseudoLabel) -> None:
    trained = toy([4, 4, 4], [100] * 3, spread=4.0).train(pseudo_params)
    assert trained.agreement < rounds.MANY_ROUNDS_AGREEMENT and len(trained.rounds) == 2


def test_words_are_learned_from_the_pool(pseudo_params: PseudoLabel) -> None:
    task = toy([2, 2, 2], [200] * 3, spread=1.2, signal=0.4)
    with_words = task.accuracy(task.train(pseudo_params).rounds[-1].heads)
    without = pseudo_params.model_copy(update={"word_view": False})
    no_words = replace(task, texts=Texts(task.texts.vectors), test=Texts(task.test.vectors))
    assert with_words > no_words.accuracy(no_words.train(without).rounds[-1].heads)


def test_foreign_rows_are_left_out_and_cost_less_than_a_point(pseudo_params: PseudoLabel) -> None:
    clean, mixed = toy([2] * 4, [150] * 4, spread=0.8), toy([2] * 4, [150] * 4, spread=0.8, foreign=250)
    by_clean, by_mixed = clean.train(pseudo_params), mixed.train(pseudo_params)
    assert by_clean.foreign < 30 and 200 < by_mixed.foreign < 280
    accepted_foreign = (mixed.pool_truth[by_mixed.rounds[-1].rows - len(mixed.seeds.labels)] < 0).sum()
    assert accepted_foreign < 25
    assert mixed.accuracy(by_mixed.rounds[-1].heads) > clean.accuracy(by_clean.rounds[-1].heads) - 0.011


@pytest.mark.parametrize(
    ("gold", "pool"),
    [
        ([4, 4, 4], [600, 60, 60]),  # one class far larger
        ([1, 8, 8], [150] * 3),  # a class of one row
        ([0, 0, 0], [150] * 3),  # no label at all
        ([0, 4, 4], [150] * 3),  # a class known by its name alone
        ([40, 8, 8], [500, 100, 100]),  # gold rows drawn as the pool is
    ],
)
def test_uneven_pools_and_labels_lose_no_class(pseudo_params: PseudoLabel, gold: list[int], pool: list[int]) -> None:
    task = toy(gold, pool)
    trained = task.train(pseudo_params)
    answers = trained.rounds[-1].heads.logits(task.test).argmax(axis=1)
    recall = [(answers[task.truth == label] == label).mean() for label in range(3)]
    assert min(recall) > 0.8


def test_150_classes_are_told_apart(pseudo_params: PseudoLabel) -> None:
    task = toy([1] * 150, [8] * 150, spread=0.4)
    assert task.accuracy(task.train(pseudo_params).rounds[-1].heads) > 0.8


def test_a_round_accepts_only_the_likeliest_label_up_to_the_quota() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    rows, labels = rounds.accept_surest(probabilities, np.array([0.5, 0.5]), 1.0)
    assert rows.tolist() == [0, 2, 3] and labels.tolist() == [0, 0, 1]


def test_aligned_probabilities_have_the_prior_as_their_mean() -> None:
    probabilities = np.random.default_rng(0).dirichlet([1, 2, 5], size=500)
    prior = np.array([0.5, 0.25, 0.25])
    assert rounds.align_to_prior(probabilities, prior, 50).mean(axis=0) == pytest.approx(prior, abs=1e-3)


def test_class_shares_are_even_for_even_labels_and_those_of_many_uneven_ones() -> None:
    assert rounds.estimate_class_shares(np.repeat([0, 1], [8, 8]), 2) == pytest.approx([0.5, 0.5])
    assert rounds.estimate_class_shares(np.repeat([0, 1], [900, 100]), 2) == pytest.approx([0.9, 0.1], abs=0.02)


def test_gold_rows_weigh_by_class_and_none_more_than_ten_times(pseudo_params: PseudoLabel) -> None:
    seeds = toy([1, 100], [10, 10]).seeds
    weights = seeds.weigh(1.0, 0.0, np.array([0.5, 0.5]))
    assert weights[0] == 10 and weights[1] == pytest.approx(0.505) and not weights[-2:].any()


def test_with_groups_weights_make_label_and_group_independent() -> None:
    """One group has mostly one label; a row of unknown group changes nothing for the others."""
    labels, groups = np.repeat([0, 1, 0, 1], [30, 2, 2, 30]), np.repeat([0, 0, 1, 1], [30, 2, 2, 30])[:, None]
    vectors = np.column_stack([labels + np.random.default_rng(0).normal(size=64), groups[:, 0]]).astype(np.float32)
    plain = rounds.fit_reweighed(Texts(vectors), labels, np.ones(64), 2)
    fair = rounds.fit_reweighed(Texts(vectors, groups=groups), labels, np.ones(64), 2)
    by_group = np.abs(plain.weight[:, 1]), np.abs(fair.weight[:, 1])
    assert (by_group[1] < by_group[0] / 2).all()
