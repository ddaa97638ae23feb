"""Rounds of self-training: how much of the pool they accept, that they help, and that they do no harm."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.core.params import Params, PseudoLabel
from pipeline.stages.pseudo_label.rounds import label_in_rounds
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Texts
from tests.support.pseudo_texts import ESTIMATE, Toy, cloud, seed_rows, toy, toy_without_words, unit

DRAWS = 4  # of a synthetic task, whose results are averaged


GOLD_ROWS = [1, 2, 3, 5, 8, 12, 16, 20]


HARMLESS: dict[str, dict[str, Any]] = {
    "1 to 20 gold rows of a class, an even pool": {"seeds": GOLD_ROWS, "pool": [100] * 8},
    "1 to 20 gold rows of a class, a pool like them": {"seeds": GOLD_ROWS, "pool": [10 * count for count in GOLD_ROWS]},
    "a pool of another class mix than the labels": {"seeds": [5] * 3, "pool": [700, 200, 100]},
    "30% of the pool of no class": {"seeds": [8] * 8, "pool": [100] * 8, "outliers": 0.3},
}


@pytest.mark.parametrize("signal", [None, 0.2])
def test_an_unbalanced_pool_keeps_its_class_mix(pseudo_params: PseudoLabel, signal: float | None) -> None:
    """With vectors only, and with vectors and words."""
    counts = [700, 200, 100]
    task = (
        toy_without_words([5] * 3, counts, 0.3, [])
        if signal is None
        else toy([5] * 3, counts, spread=0.6, signal=signal)
    )
    last = task.rounds(pseudo_params)[-1]
    shares = np.bincount(last.labels, minlength=3) / len(last.labels)
    assert shares[0] > 0.4  # the teacher sees 70%; a third each would be the balanced quota
    assert (last.labels == task.pool_truth[last.rows]).mean() > 0.95


def test_rounds_beat_the_teacher_that_they_start_from(pseudo_params: PseudoLabel) -> None:
    task = toy_without_words([2] * 8, [150] * 8, 0.9, [100] * 8)
    rounds = task.rounds(pseudo_params)
    assert task.accuracy(rounds[-1].teacher) > task.accuracy(rounds[0].teacher) + 0.03


def test_each_round_accepts_at_least_as_many_rows_as_the_one_before(pseudo_params: PseudoLabel) -> None:
    counts = [len(result.rows) for result in toy([3, 3], [100, 100], spread=0.5, signal=0.2).rounds(pseudo_params)]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[1] > 0


def rounds_with_wrong_gold_rows(pseudo_params: PseudoLabel, names_first: bool) -> tuple[float, float, float]:
    """Accuracy before round 1, share of right labels among the rows of round 1, and accuracy after the last round.

    Class names lie at their classes; the gold row of each class lies in another class.
    """
    vectors, lies_in = cloud([1] * 6, 0.5, seed=10)
    names = unit(np.stack([rows.mean(axis=0) for rows in np.split(cloud([30] * 6, 0.5, seed=5)[0], 6)]))
    seeds = seed_rows(Texts(np.concatenate([vectors, names])), np.concatenate([(lies_in + 1) % 6, np.arange(6)]))
    seeds = replace(seeds, is_class_name=np.arange(12) >= 6)
    (pool, pool_truth), (test, truth) = (cloud([150] * 6, 1.2, seed) for seed in (1, 2))
    task = Toy(seeds, Texts(pool), pool_truth, Texts(test), truth, 6)
    rounds = task.rounds(pseudo_params, replace(ESTIMATE, names_first=names_first))
    right = (rounds[1].labels == pool_truth[rounds[1].rows]).mean()
    return task.accuracy(rounds[0].teacher), float(right), task.accuracy(rounds[-1].teacher)


def test_class_names_that_choose_the_rows_of_round_1_are_not_misled_by_wrong_gold_rows(
    pseudo_params: PseudoLabel,
) -> None:
    (before, right, after), (before_names, right_by_names, after_names) = (
        rounds_with_wrong_gold_rows(pseudo_params, names_first) for names_first in (False, True)
    )
    assert before_names == before  # the first teacher learns from class names and gold rows in both cases
    assert right_by_names > right + 0.1
    assert after_names > after + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("what", HARMLESS)
def test_rounds_do_not_hurt(pseudo_params: PseudoLabel, what: str) -> None:
    """The last round with an estimate from held-out labels, whether or not these would keep it."""
    gains = []
    for draw in range(DRAWS):
        task = toy(**HARMLESS[what], spread=0.9, signal=0.2, draw=draw)
        rounds = task.rounds(pseudo_params, task.select_round(pseudo_params).estimate)
        gains.append(task.accuracy(rounds[-1].teacher) - task.accuracy(rounds[0].teacher))
    assert np.mean(gains) > -0.005


@pytest.mark.slow
def test_rounds_do_not_hurt_150_classes(pseudo_params: PseudoLabel) -> None:
    task = toy([3] * 150, [15] * 150, spread=0.5, signal=0.2, test=8)
    rounds = task.rounds(pseudo_params, task.select_round(pseudo_params).estimate)
    assert task.accuracy(rounds[-1].teacher) > task.accuracy(rounds[0].teacher) - 0.005
    assert len(np.unique(rounds[-1].labels)) == 150


@pytest.mark.parametrize("kind", ["graph", "clusters", "none"])
def test_rounds_work_with_every_spread(params: Callable[..., Params], kind: str) -> None:
    task = toy([3] * 4, [60] * 4, spread=0.6, signal=0.2)
    last = task.rounds(params({"pseudo_label": {"spread": kind}}).pseudo_label)[-1]
    assert (last.labels == task.pool_truth[last.rows]).mean() > 0.95


def test_an_empty_pool_gives_one_round(pseudo_params: PseudoLabel) -> None:
    task = toy([3] * 2, [10] * 2, spread=0.3, signal=0.2)
    empty_pool = task.pool.take(np.zeros(0, int))
    assert len(label_in_rounds(task.seeds, empty_pool, NoSpreading(), 2, ESTIMATE, pseudo_params)) == 1


def test_only_the_last_round_has_a_whitened_graph(pseudo_params: PseudoLabel) -> None:
    task = toy_without_words([3] * 6, [100] * 6, 1.0, [50] * 6)
    whitened, plain = (
        task.rounds(pseudo_params.model_copy(update={"whiten_last_graph": whiten})) for whiten in (True, False)
    )
    same = [np.array_equal(first.rows, second.rows) for first, second in zip(whitened, plain, strict=True)]
    assert same == [True] * pseudo_params.rounds + [False]
    assert task.rounds(pseudo_params.model_copy(update={"rounds": 1}))[
        1
    ].rows.size  # there is no earlier round to learn from
