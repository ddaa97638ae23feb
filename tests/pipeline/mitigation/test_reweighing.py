"""Reweighing: label and group become independent by weight, by hand counts and with several attributes."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.mitigation.group_codes import numbers
from pipeline.mitigation.reweighing import LARGEST, factors


def shares(labels, groups, weights):
    cells = np.zeros((labels.max() + 1, groups.max() + 1))
    np.add.at(cells, (labels, groups), weights)
    return cells / cells.sum()


def test_the_factors_are_those_of_kamiran_and_calders():
    labels = np.repeat([0, 0, 1, 1], [9, 5, 1, 5])
    groups = np.repeat([0, 1, 0, 1], [9, 5, 1, 5])[:, None]
    found = factors(labels, groups, np.ones(20))
    assert found[0] == pytest.approx(14 / 20 * 10 / 20 / (9 / 20))
    assert found[14] == pytest.approx(6 / 20 * 10 / 20 / (1 / 20))
    joint = shares(labels, groups[:, 0], found)
    assert joint == pytest.approx(np.outer(joint.sum(axis=1), joint.sum(axis=0)))
    assert joint.sum(axis=1) == pytest.approx([14 / 20, 6 / 20])


def test_several_attributes_are_all_independent_of_the_label_in_the_end():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=2000)
    one = (rng.random(2000) < 0.3 + 0.4 * labels).astype(int)
    other = (rng.random(2000) < 0.2 + 0.3 * labels + 0.3 * one).astype(int)
    found = factors(labels, np.stack([one, other], axis=1), np.ones(2000))
    for groups in (one, other):
        joint = shares(labels, groups, found)
        assert joint == pytest.approx(np.outer(joint.sum(axis=1), joint.sum(axis=0)), abs=1e-3)


def test_rows_of_unknown_group_keep_their_weight_and_a_lone_row_does_not_outvote_all():
    labels, groups = np.repeat([0, 1, 0], [500, 1, 3]), np.array([0] * 250 + [1] * 250 + [1] + [-1] * 3)[:, None]
    found = factors(labels, groups, np.ones(504))
    assert found[-3:].tolist() == [1, 1, 1]
    assert found.max() <= LARGEST


def test_groups_are_numbered_alike_in_all_tables_and_missing_ones_are_unknown():
    one = pd.DataFrame({"id": ["a", "b"], "group.x": ["new", None]})
    other = pd.DataFrame({"id": ["c", "d"], "group.x": ["old", "new"], "group.y": ["1", "2"]})
    first, second = numbers([one, other], ["x"])
    assert first.tolist() == [[0], [-1]] and second.tolist() == [[1], [0]]
    assert [part.shape for part in numbers([one, other], [])] == [(2, 2), (2, 2)]
    with pytest.raises(UserError, match=r"mitigation\.attributes: expected group attributes .*\(x\), found z"):
        numbers([one], ["z"])
    with pytest.raises(UserError, match=r"mitigation\.attributes: .*\(none\), found none; name them under ingest"):
        numbers([pd.DataFrame({"id": ["a"]})], [])
