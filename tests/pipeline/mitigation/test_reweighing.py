"""Reweighing makes label and group independent by weight: against hand counts, and with several attributes."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.mitigation.group_codes import encode_groups
from pipeline.mitigation.reweighing import MAX_FACTOR, weight_factors


def shares(labels, groups, weights):
    cells = np.zeros((labels.max() + 1, groups.max() + 1))
    np.add.at(cells, (labels, groups), weights)
    return cells / cells.sum()


def test_factors_are_those_of_kamiran_and_calders():
    labels = np.repeat([0, 0, 1, 1], [9, 5, 1, 5])
    groups = np.repeat([0, 1, 0, 1], [9, 5, 1, 5])[:, None]
    factors = weight_factors(labels, groups, np.ones(20))
    assert factors[0] == pytest.approx(14 / 20 * 10 / 20 / (9 / 20))
    assert factors[14] == pytest.approx(6 / 20 * 10 / 20 / (1 / 20))
    joint = shares(labels, groups[:, 0], factors)
    assert joint == pytest.approx(np.outer(joint.sum(axis=1), joint.sum(axis=0)))
    assert joint.sum(axis=1) == pytest.approx([14 / 20, 6 / 20])


def test_each_of_several_attributes_becomes_independent_of_the_label():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=2000)
    first = (rng.random(2000) < 0.3 + 0.4 * labels).astype(int)
    second = (rng.random(2000) < 0.2 + 0.3 * labels + 0.3 * first).astype(int)
    factors = weight_factors(labels, np.stack([first, second], axis=1), np.ones(2000))
    for groups in (first, second):
        joint = shares(labels, groups, factors)
        assert joint == pytest.approx(np.outer(joint.sum(axis=1), joint.sum(axis=0)), abs=1e-3)


def test_rows_of_unknown_group_keep_their_weight_and_no_factor_exceeds_its_bound():
    labels, groups = np.repeat([0, 1, 0], [500, 1, 3]), np.array([0] * 250 + [1] * 250 + [1] + [-1] * 3)[:, None]
    factors = weight_factors(labels, groups, np.ones(504))
    assert factors[-3:].tolist() == [1, 1, 1]
    assert factors.max() <= MAX_FACTOR


def test_a_group_has_one_code_in_all_tables_and_missing_groups_are_unknown():
    first = pd.DataFrame({"id": ["a", "b"], "group.x": ["new", None]})
    second = pd.DataFrame({"id": ["c", "d"], "group.x": ["old", "new"], "group.y": ["1", "2"]})
    first_codes, second_codes = encode_groups([first, second], ["x"])
    assert first_codes.tolist() == [[0], [-1]] and second_codes.tolist() == [[1], [0]]
    assert [codes.shape for codes in encode_groups([first, second], [])] == [(2, 2), (2, 2)]
    with pytest.raises(UserError, match=r"mitigation\.attributes: expected group attributes .*\(x\), found z"):
        encode_groups([first], ["z"])
    with pytest.raises(UserError, match=r"mitigation\.attributes: .*\(none\), found none; name them under ingest"):
        encode_groups([pd.DataFrame({"id": ["a"]})], [])
