"""Choosing rows to label: unsure, different and typical rows come first."""

import numpy as np
import pytest

from pipeline.labelling import facility_location


def unit(*rows: list[float]) -> np.ndarray:
    """The rows as vectors of length 1."""
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_unsure_rows_are_preferred_to_sure_ones() -> None:
    vectors = unit([1, 0, 0.1], [1, 0.1, 0], [0, 1, 0.1], [0.1, 1, 0])
    probabilities = np.array([[0.98, 0.02], [0.97, 0.03], [0.5, 0.5], [0.55, 0.45]])
    assert set(facility_location.choose_rows(probabilities, vectors, unit([0, 0, 1]), 2)) & {2, 3}
    assert facility_location.choose_rows(probabilities, vectors, unit([0, 0, 1]), 1)[0] in (2, 3)


def test_one_of_two_similar_rows_is_chosen_and_none_that_is_similar_to_a_labelled_row() -> None:
    vectors = unit([1, 0, 0, 0], [1, 0.01, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0.01])
    even = np.full((5, 2), 0.5)
    chosen = facility_location.choose_rows(even, vectors, unit([0, 0, 1, 0]), 2)
    assert len(set(chosen) & {0, 1}) == 1 and 2 in chosen


def test_an_outlier_is_not_chosen_before_rows_that_stand_for_others() -> None:
    crowd = [[1, 0.2 * np.cos(i), 0.2 * np.sin(i), 0, 0] for i in range(10)]
    other = [[0, 0, 0, 1, 0.1 * i] for i in range(5)]
    vectors = unit([-1, -1, -1, -1, -9], *crowd, *other)
    probabilities = np.array([[0.5, 0.5]] + 15 * [[0.6, 0.4]])
    chosen = facility_location.choose_rows(probabilities, vectors, unit([0, -1, 0, 0, 0]), 2)
    assert chosen[0] in range(1, 11) and chosen[1] in range(11, 16)


def test_the_lazy_greedy_choice_equals_the_plain_greedy_choice() -> None:
    random = np.random.default_rng(0)
    vectors = unit(*random.normal(size=(60, 8)).tolist())
    weights, similarity = random.random(60), facility_location.cosine_similarity(vectors, vectors)
    covered = np.zeros(60)
    plain: list[int] = []
    for _ in range(20):
        gains = np.maximum(similarity - covered, 0) @ weights
        gains[plain] = -1
        plain.append(int(gains.argmax()))
        covered = np.maximum(covered, similarity[plain[-1]])
    assert facility_location.lazy_greedy(similarity, np.zeros(60), weights, 20).tolist() == plain


def test_a_large_pool_is_sampled_among_its_least_sure_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facility_location, "MAX_CANDIDATES", 30)
    uncertainty = np.linspace(0, 1, 300)
    rows = facility_location.least_sure_rows(uncertainty, 2)
    assert len(set(rows)) == 30 and rows[0] == 299 and rows.min() == 210
    assert len(facility_location.least_sure_rows(uncertainty, 50)) == 50
    assert len(facility_location.least_sure_rows(uncertainty[:12], 5)) == 12


def test_every_row_of_the_pool_can_be_chosen_and_no_gold_row_is_needed() -> None:
    vectors = unit([1, 0], [1, 0], [0, 1])
    chosen = facility_location.choose_rows(np.full((3, 2), 0.5), vectors, np.zeros((0, 2), dtype=np.float32), 3)
    assert sorted(chosen) == [0, 1, 2]
