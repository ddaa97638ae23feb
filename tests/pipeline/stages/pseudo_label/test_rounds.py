"""The teacher's rounds: class shares near the prior, more and more of the pool, and nothing that must not hurt does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.core.params import Params, PseudoLabel
from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label import spread
from pipeline.stages.pseudo_label.probe import NEVER, Probe, fit
from pipeline.stages.pseudo_label.rounds import TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.selection import align, gold_shares, select
from pipeline.stages.pseudo_label.teacher import Texts
from tests.support.pseudo_texts import BELIEF, Toy, cloud, seed_rows, toy, unit

DRAWS = 4  # of a made-up task, whose results are averaged


@pytest.fixture
def own(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


def of_vectors(seeds: list[int], pool: list[int], spread: float, test: list[int]) -> Toy:
    """A task whose texts have no words."""
    parts = [cloud(counts, spread, seed) for seed, counts in enumerate((seeds, pool, test))]
    (vectors, labels), (others, pool_truth), (asked, truth) = parts
    given = seed_rows(Texts(vectors), labels)
    return Toy(given, Texts(others), pool_truth, Texts(asked), truth, len(seeds))


def test_a_probe_of_two_classes_gives_the_probabilities_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = cloud([30, 20], 0.8)
    ours = softmax(fit(vectors, labels, np.ones(50), 2, 10).logits(vectors))
    theirs = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(vectors, labels).predict_proba(vectors)
    assert np.abs(ours - theirs).max() < 1e-5


def test_a_class_without_any_row_is_never_named() -> None:
    vectors, labels = cloud([20, 0, 20], 0.3)
    probe = fit(vectors, labels, np.ones(40), 3, 10)
    assert probe.bias[1] == NEVER
    assert set(probe.logits(vectors).argmax(axis=1)) == {0, 2}


def test_probe_logits_are_linear() -> None:
    probe = Probe(np.eye(2, dtype=np.float32), np.array([1, 0], dtype=np.float32))
    assert probe.logits(np.array([[3.0, 4.0]], dtype=np.float32)).tolist() == [[4.0, 4.0]]


def test_alignment_moves_the_class_shares_to_the_prior() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(size=(500, 3)) + np.array([2.0, 0.0, 0.0]))
    prior = np.array([0.2, 0.3, 0.5])
    aligned = align(probabilities, prior)
    assert np.allclose(aligned.mean(axis=0), prior, atol=0.01)
    assert np.allclose(aligned.sum(axis=1), 1)


def test_selection_takes_the_surest_rows_and_forces_no_row_into_a_class() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.55, 0.45]])
    rows, labels = select(probabilities, np.array([0.5, 0.5]), share=1.0, min_confidence=0.0)
    assert rows.tolist() == [0, 2]  # two of class 0 as the prior says; nobody looks like class 1, so nobody is
    assert labels.tolist() == [0, 0]
    assert select(probabilities, np.array([1.0, 0.0]), 1.0, 0.7)[0].tolist() == [0, 2]


@pytest.mark.parametrize("signal", [None, 0.2])
def test_an_unbalanced_pool_keeps_its_class_mix(own: PseudoLabel, signal: float | None) -> None:
    """Of vectors alone, and of vectors and words."""
    counts = [700, 200, 100]
    task = of_vectors([5] * 3, counts, 0.3, []) if signal is None else toy([5] * 3, counts, spread=0.6, signal=signal)
    last = task.rounds(own)[-1]
    shares = np.bincount(last.labels, minlength=3) / len(last.labels)
    assert shares[0] > 0.4  # the teacher sees 70%; a third each would be the balanced quota
    assert (last.labels == task.pool_truth[last.rows]).mean() > 0.95


def test_rounds_beat_the_teacher_that_they_start_from(own: PseudoLabel) -> None:
    task = of_vectors([2] * 8, [150] * 8, 0.9, [100] * 8)
    rounds = task.rounds(own)
    assert task.accuracy(rounds[-1].teacher) > task.accuracy(rounds[0].teacher) + 0.03


def test_more_accepted_rows_from_round_to_round(own: PseudoLabel) -> None:
    counts = [len(result.rows) for result in toy([3, 3], [100, 100], spread=0.5, signal=0.2).rounds(own)]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[1] > 0


def test_the_less_a_teacher_is_trusted_the_nearer_its_class_shares_are_held_to_equal_ones(own: PseudoLabel) -> None:
    task = of_vectors([5] * 3, [700, 200, 100], 0.3, [])
    far = [task.rounds(own, TeacherEstimate(1.0, trust, 0.5))[1].prior.max() - 1 / 3 for trust in (0.0, 0.5, 1.0)]
    assert far[0] == pytest.approx(0)
    assert far[0] < far[1] < far[2]


def test_gold_rows_of_unequal_numbers_tell_the_class_shares_as_far_as_chance_does_not_explain_them() -> None:
    counts = [[8, 8], [7, 9], [6, 14], [4, 16], [60, 240]]
    shares = [gold_shares(np.repeat([0, 1], rows), 2)[1] for rows in counts]
    assert shares[:2] == [0.5, 0.5]
    assert 0.5 < shares[2] < 0.7  # 6 of 20 may well be 10 by chance
    assert 0.7 < shares[3] < 0.8
    assert shares[4] == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("labels", [[], [0], [0, 0], [0, 1, 2]])
def test_class_shares_are_thought_equal_where_gold_rows_cannot_tell(labels: list[int]) -> None:
    assert np.allclose(gold_shares(np.array(labels, dtype=int), 3), 1 / 3)


def test_a_teacher_that_is_not_trusted_keeps_to_the_mix_of_the_gold_rows(own: PseudoLabel) -> None:
    """8 of 10 rows are of one class: held to equal shares, the rounds call a third of all rows the other one."""
    gains = {}
    for mix in (None, gold_shares(np.repeat([0, 1], [48, 12]), 2)):
        task = toy([48, 12], [800, 200], spread=2.0, signal=0.05)
        rounds = task.rounds(own, TeacherEstimate(1.0, 0.1, 0.5, shares=mix))
        gains[mix is not None] = np.mean(rounds[-1].teacher.logits(task.pool).argmax(axis=1) == task.pool_truth)
    assert gains[True] > gains[False] + 0.05


def misled(own: PseudoLabel, names_first: bool) -> tuple[float, float, float]:
    """Names at their classes, and a gold row of each class that lies in another one.

    Accuracy before the first round, share of right labels among the rows of round 1, and accuracy after the last one.
    """
    vectors, astray = cloud([1] * 6, 0.5, seed=10)
    names = unit(np.stack([rows.mean(axis=0) for rows in np.split(cloud([30] * 6, 0.5, seed=5)[0], 6)]))
    given = seed_rows(Texts(np.concatenate([vectors, names])), np.concatenate([(astray + 1) % 6, np.arange(6)]))
    given = replace(given, names=np.arange(12) >= 6)
    (pool, pool_truth), (asked, truth) = (cloud([150] * 6, 1.2, seed) for seed in (1, 2))
    task = Toy(given, Texts(pool), pool_truth, Texts(asked), truth, 6)
    rounds = task.rounds(own, replace(BELIEF, names_first=names_first))
    right = (rounds[1].labels == pool_truth[rounds[1].rows]).mean()
    return task.accuracy(rounds[0].teacher), float(right), task.accuracy(rounds[-1].teacher)


def test_names_that_choose_the_rows_of_round_1_are_not_led_astray_by_odd_gold_rows(own: PseudoLabel) -> None:
    (before, right, after), (same, right_by_names, after_names) = misled(own, False), misled(own, True)
    assert same == before  # without pseudo-labels, the teacher has learned from names and gold rows
    assert right_by_names > right + 0.1
    assert after_names > after + 0.01


FEW = [1, 2, 3, 5, 8, 12, 16, 20]
HARMLESS: dict[str, dict[str, Any]] = {
    "1 to 20 gold rows of a class, an even pool": {"seeds": FEW, "pool": [100] * 8},
    "1 to 20 gold rows of a class, a pool like them": {"seeds": FEW, "pool": [10 * count for count in FEW]},
    "a pool of another class mix than the labels": {"seeds": [5] * 3, "pool": [700, 200, 100]},
    "30% of the pool of no class": {"seeds": [8] * 8, "pool": [100] * 8, "strangers": 0.3},
}


@pytest.mark.slow
@pytest.mark.parametrize("what", HARMLESS)
def test_rounds_do_not_hurt(own: PseudoLabel, what: str) -> None:
    """By trust, temperature and part from held-out labels; the last round, whether or not these would keep it."""
    gains = []
    for draw in range(DRAWS):
        task = toy(**HARMLESS[what], spread=0.9, signal=0.2, draw=draw)
        rounds = task.rounds(own, task.judge(own).belief)
        gains.append(task.accuracy(rounds[-1].teacher) - task.accuracy(rounds[0].teacher))
    assert np.mean(gains) > -0.005


@pytest.mark.slow
def test_rounds_do_not_hurt_150_classes(own: PseudoLabel) -> None:
    task = toy([3] * 150, [15] * 150, spread=0.5, signal=0.2, test=8)
    rounds = task.rounds(own, task.judge(own).belief)
    assert task.accuracy(rounds[-1].teacher) > task.accuracy(rounds[0].teacher) - 0.005
    assert len(np.unique(rounds[-1].labels)) == 150


def test_near_texts_tell_each_other_their_labels() -> None:
    vectors, labels = cloud([50, 50], 0.3)
    unsure = np.full((100, 2), 0.5)
    unsure[0], unsure[50] = [1.0, 0.0], [0.0, 1.0]
    spreading = spread.build(vectors, neighbours=10).smooth(unsure, part=0.9, steps=50)
    assert (spreading.argmax(axis=1) == labels).mean() > 0.95
    assert np.allclose(spreading.sum(axis=1), 1)


def test_the_graph_connects_each_row_with_its_nearest_others() -> None:
    vectors, _ = cloud([30, 30], 0.5)
    near, cosine = spread.nearest(vectors, 5)
    all_pairs = vectors @ vectors.T - 3 * np.eye(60)
    assert np.allclose(np.sort(cosine, axis=1), np.sort(all_pairs, axis=1)[:, -5:], atol=1e-6)
    assert not (near == np.arange(60)[:, None]).any()


def test_clusters_hand_the_label_of_one_row_to_a_whole_cloud() -> None:
    vectors, labels = cloud([50, 50, 50], 0.2)
    unsure = np.full((150, 3), 1 / 3)
    for label in range(3):
        unsure[50 * label] = 50 * np.eye(3)[label]
    told = spread.cluster(vectors, 3, seed=0).smooth(unsure, part=0.9)
    assert (told.argmax(axis=1) == labels).mean() > 0.95
    assert np.allclose(told.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["graph", "clusters"])
def test_a_row_that_is_left_out_tells_nobody_anything(params: Callable[..., Params], kind: str) -> None:
    own = params({"pseudo_label": {"spread": kind, "clusters": 1}}).pseudo_label
    vectors, _ = cloud([20, 20], 0.3)
    unsure = np.full((40, 2), 0.5)
    others = np.arange(1, 40)
    around = spread.spread(vectors, 2, own).among(others)
    before = around.smooth(unsure[others], 0.8)
    assert before.shape == (39, 2)
    assert np.allclose(before, 0.5)
    unsure[1] = [1.0, 0.0]
    assert (around.smooth(unsure[others], 0.8)[:, 0] > 0.5 + 1e-6).any()


def test_without_a_spread_every_row_keeps_what_it_said(params: Callable[..., Params]) -> None:
    own = params({"pseudo_label": {"spread": "none"}}).pseudo_label
    vectors, _ = cloud([20, 20], 0.3)
    said = softmax(np.random.default_rng(0).normal(size=(40, 2)))
    around = spread.spread(vectors, 2, own)
    assert np.allclose(around.smooth(said, 0.8), said)
    assert np.allclose(around.among(np.arange(5)).smooth(said[:5], 0.8), said[:5])


@pytest.mark.parametrize("kind", ["graph", "clusters", "none"])
def test_rounds_work_with_every_spread(params: Callable[..., Params], kind: str) -> None:
    task = toy([3] * 4, [60] * 4, spread=0.6, signal=0.2)
    last = task.rounds(params({"pseudo_label": {"spread": kind}}).pseudo_label)[-1]
    assert (last.labels == task.pool_truth[last.rows]).mean() > 0.95


def test_an_empty_pool_gives_one_round(own: PseudoLabel) -> None:
    task = toy([3] * 2, [10] * 2, spread=0.3, signal=0.2)
    nothing = task.pool.pick(np.zeros(0, int))
    assert len(label_in_rounds(task.seeds, nothing, spread.NoSpreading(), 2, BELIEF, own)) == 1


def noisy(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of four classes, apart in eight directions; they differ most in eight others, which say nothing."""
    random = np.random.default_rng(0)
    labels = np.arange(rows) % 4
    telling = random.normal(size=(4, 8))[labels] + 0.3 * random.normal(size=(rows, 8))
    return unit(np.concatenate([telling, 3 * random.normal(size=(rows, 8))], axis=1)), labels


def same_class(near: Any, labels: np.ndarray) -> float:
    """Share of the edges that connect rows of one class."""
    one, other = near.edges.nonzero()
    return float((labels[one] == labels[other]).mean())


def test_a_compact_graph_connects_rows_by_what_tells_the_known_ones_apart() -> None:
    vectors, labels = noisy(400)
    plain = spread.build(vectors, 5)
    known = np.arange(0, 400, 3)
    compact = plain.compact(vectors, known, labels[known])
    others = np.setdiff1d(np.arange(400), known)  # no label of theirs was told
    apart, together = (same_class(graph.among(others), labels[others]) for graph in (plain, compact))
    assert together > apart + 0.3


def test_one_row_of_each_class_tells_a_compact_graph_nothing() -> None:
    vectors, labels = noisy(40)
    found = spread.within_class_whitened(vectors, np.arange(4), labels[:4])
    assert np.allclose(found, unit(vectors - vectors.mean(axis=0)), atol=1e-4)


def test_the_last_round_alone_has_a_compact_graph(own: PseudoLabel) -> None:
    task = of_vectors([3] * 6, [100] * 6, 1.0, [50] * 6)
    compact, plain = (task.rounds(own.model_copy(update={"whiten_last_graph": wanted})) for wanted in (True, False))
    same = [np.array_equal(one.rows, other.rows) for one, other in zip(compact, plain, strict=True)]
    assert same == [True] * own.rounds + [False]
    assert task.rounds(own.model_copy(update={"rounds": 1}))[1].rows.size  # there is no round to learn from before
