"""The map of the vectors: which rows it shows, and what its colours mean."""

import numpy as np
import pandas as pd
import pytest

from pipeline.stages.explain import embedding_map


def test_a_map_shows_about_a_third_of_each_kind_and_all_errors() -> None:
    kinds = ["gold"] * 5 + ["pseudo"] * 100 + ["test"] * 100
    rows = pd.DataFrame({"kind": kinds, "wrong": [False] * 195 + [True] * 10, "label": "a"})
    points = rows.iloc[embedding_map.choose_points(rows, 45, seed=0)]
    assert points["kind"].value_counts().to_dict() == {"pseudo": 20, "test": 20, "gold": 5}
    assert points["wrong"].sum() == 10


@pytest.mark.parametrize(("classes", "entries"), [(12, 16), (13, 4)])
def test_classes_have_colours_while_they_are_few(classes: int, entries: int) -> None:
    labels = [f"class {i}" for i in range(classes)]
    points = pd.DataFrame({"label": labels, "kind": "test", "wrong": False, "x": 0.0, "y": range(classes)})
    (panel,) = embedding_map.draw(points, labels).axes
    legend = panel.get_legend()
    assert legend and len(legend.get_texts()) == entries
    markers = next(part for part in panel.collections if len(np.asarray(part.get_offsets())) == classes)
    assert len({tuple(colour) for colour in np.asarray(markers.get_facecolor())}) == (classes if classes == 12 else 1)
