"""The graph of nearest neighbours, exact among few texts and nearly so among many."""

import numpy as np
import pytest

from pipeline.models import neighbour_graph
from tests.support.pseudo_texts import clouds


def test_each_text_is_joined_with_its_nearest_ones() -> None:
    vectors, _ = clouds(300)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    nearest, found = neighbour_graph.nearest_neighbours(vectors, 5)
    assert found == pytest.approx(-np.sort(-cosines, axis=1)[:, :5], abs=1e-5)
    assert np.take_along_axis(cosines, nearest, axis=1) == pytest.approx(found, abs=1e-5)
    edges = neighbour_graph.neighbour_graph(vectors)
    assert (edges != edges.T).nnz == 0 and edges.diagonal().max() == 0
    assert edges[0].max() == pytest.approx(max(0, cosines[0].max()) ** 3, abs=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_texts_are_joined_with_all_others(rows: int) -> None:
    assert neighbour_graph.neighbour_graph(np.ones((rows, 1), dtype=np.float32)).nnz == rows * (rows - 1)


def test_copies_of_a_text_are_neighbours_of_each_other_and_not_of_themselves() -> None:
    vectors = np.repeat(clouds(4)[0], 20, axis=0)
    nearest, cosine = neighbour_graph.nearest_neighbours(vectors, 5)
    assert not (nearest == np.arange(80)[:, None]).any() and cosine == pytest.approx(1, abs=1e-5)


def test_neighbours_of_many_rows_are_nearly_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = clouds(2000)
    exact, _ = neighbour_graph.nearest_neighbours(vectors, 5)
    monkeypatch.setattr(neighbour_graph, "EXACT_ROWS", 1000)
    found, cosine = neighbour_graph.nearest_neighbours(vectors, 5)
    same = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact, found, strict=True)])
    assert same > 0.9
    assert not (found == np.arange(2000)[:, None]).any() and (np.diff(cosine, axis=1) <= 0).all()
    again, _ = neighbour_graph.nearest_neighbours(vectors, 5)
    assert (again == found).all()
