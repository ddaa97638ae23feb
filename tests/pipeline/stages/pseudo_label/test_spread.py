"""Label spreading along graphs and within clusters, and within-class whitening."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.core.params import Params
from pipeline.metrics.calibration import softmax
from pipeline.stages.pseudo_label import spread as spreading
from tests.support.pseudo_texts import cloud, unit


def test_labels_spread_to_near_texts() -> None:
    vectors, labels = cloud([50, 50], 0.3)
    probabilities = np.full((100, 2), 0.5)
    probabilities[0], probabilities[50] = [1.0, 0.0], [0.0, 1.0]
    smoothed = spreading.build_graph(vectors, neighbours=10).smooth(probabilities, alpha=0.9, steps=50)
    assert (smoothed.argmax(axis=1) == labels).mean() > 0.95
    assert np.allclose(smoothed.sum(axis=1), 1)


def test_the_graph_connects_each_row_with_its_nearest_others() -> None:
    vectors, _ = cloud([30, 30], 0.5)
    near, cosine = spreading.nearest_neighbours(vectors, 5)
    all_pairs = vectors @ vectors.T - 3 * np.eye(60)
    assert np.allclose(np.sort(cosine, axis=1), np.sort(all_pairs, axis=1)[:, -5:], atol=1e-6)
    assert not (near == np.arange(60)[:, None]).any()


def test_the_label_of_one_row_spreads_to_its_whole_cluster() -> None:
    vectors, labels = cloud([50, 50, 50], 0.2)
    probabilities = np.full((150, 3), 1 / 3)
    for label in range(3):
        probabilities[50 * label] = 50 * np.eye(3)[label]
    smoothed = spreading.build_clusters(vectors, 3, seed=0).smooth(probabilities, alpha=0.9)
    assert (smoothed.argmax(axis=1) == labels).mean() > 0.95
    assert np.allclose(smoothed.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["graph", "clusters"])
def test_a_row_that_is_left_out_affects_no_other_row(params: Callable[..., Params], kind: str) -> None:
    pseudo_params = params({"pseudo_label": {"spread": kind, "clusters": 1}}).pseudo_label
    vectors, _ = cloud([20, 20], 0.3)
    probabilities = np.full((40, 2), 0.5)
    others = np.arange(1, 40)
    spread = spreading.build_spread(vectors, 2, pseudo_params).restrict(others)
    smoothed = spread.smooth(probabilities[others], 0.8)
    assert smoothed.shape == (39, 2)
    assert np.allclose(smoothed, 0.5)
    probabilities[1] = [1.0, 0.0]
    assert (spread.smooth(probabilities[others], 0.8)[:, 0] > 0.5 + 1e-6).any()


def test_without_spreading_every_row_keeps_its_probabilities(params: Callable[..., Params]) -> None:
    pseudo_params = params({"pseudo_label": {"spread": "none"}}).pseudo_label
    vectors, _ = cloud([20, 20], 0.3)
    probabilities = softmax(np.random.default_rng(0).normal(size=(40, 2)))
    spread = spreading.build_spread(vectors, 2, pseudo_params)
    assert np.allclose(spread.smooth(probabilities, 0.8), probabilities)
    assert np.allclose(spread.restrict(np.arange(5)).smooth(probabilities[:5], 0.8), probabilities[:5])


def noisy_vectors(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of four classes that differ in eight directions; larger differences in eight others are noise."""
    random = np.random.default_rng(0)
    labels = np.arange(rows) % 4
    informative = random.normal(size=(4, 8))[labels] + 0.3 * random.normal(size=(rows, 8))
    return unit(np.concatenate([informative, 3 * random.normal(size=(rows, 8))], axis=1)), labels


def share_within_classes(graph: Any, labels: np.ndarray) -> float:
    """Share of the edges that connect rows of one class."""
    first, second = graph.edges.nonzero()
    return float((labels[first] == labels[second]).mean())


def test_a_whitened_graph_ignores_directions_that_are_noise_within_the_classes() -> None:
    vectors, labels = noisy_vectors(400)
    plain = spreading.build_graph(vectors, 5)
    labelled = np.arange(0, 400, 3)
    whitened = plain.whiten(vectors, labelled, labels[labelled])
    unlabelled = np.setdiff1d(np.arange(400), labelled)
    before, after = (
        share_within_classes(graph.restrict(unlabelled), labels[unlabelled]) for graph in (plain, whitened)
    )
    assert after > before + 0.3


def test_whitening_by_one_row_of_each_class_only_centres_the_vectors() -> None:
    vectors, labels = noisy_vectors(40)
    whitened = spreading.whiten_within_classes(vectors, np.arange(4), labels[:4])
    assert np.allclose(whitened, unit(vectors - vectors.mean(axis=0)), atol=1e-4)
