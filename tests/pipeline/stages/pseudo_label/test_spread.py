"""How labels flow between near texts, and which texts are near no class."""

import numpy as np
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.models.neighbour_graph import neighbour_graph
from pipeline.stages.pseudo_label import spread
from tests.support.pseudo_texts import clouds


@pytest.mark.parametrize("kind", ["graph", "clusters"])
def test_labels_flow_to_near_texts(pseudo_params: PseudoLabel, kind: str) -> None:
    vectors, labels = clouds(60)
    flow = spread.build_spread(vectors, 2, pseudo_params.model_copy(update={"spread": kind, "clusters": 1}))
    known = np.full((60, 2), 0.5, dtype=np.float32)
    known[:2] = np.eye(2)
    smooth = flow.smooth(known, 0.8)
    assert (smooth.argmax(axis=1) == labels).mean() > 0.95
    assert smooth.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert flow.agreement(labels, 2) > 0.9
    assert flow.agreement(np.random.default_rng(1).permutation(labels), 2) < 0.2


def test_nothing_flows_where_spread_is_none(pseudo_params: PseudoLabel) -> None:
    flow = spread.build_spread(clouds(20)[0], 2, pseudo_params.model_copy(update={"spread": "none"}))
    known = np.random.default_rng(0).dirichlet([1, 1], size=20)
    assert flow.smooth(known, 0.8) is known
    assert flow.find_own(2, 20).all() and len(flow.find_own(2, 20)) == 20


def test_texts_in_a_corner_without_seeds_are_foreign() -> None:
    vectors, labels = clouds(200)
    order = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)])
    flow = spread.Spread(neighbour_graph(vectors[order]))
    own = flow.find_own(4, 200)  # the first four rows are seeds, all of one cloud
    assert own[:100].mean() > 0.95 and own[100:].mean() < 0.05
