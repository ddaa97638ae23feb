"""Scores of labels by name: those of their definitions."""

import math

import pandas as pd
import pytest

from pipeline.metrics import label_scores

TRUTH, PREDICTED = ["a", "a", "b", "b"], ["a", "b", "b", "c"]


def test_accuracy_and_macro_f1_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    assert label_scores.accuracy(TRUTH, PREDICTED) == 0.5
    assert label_scores.macro_f1(TRUTH, PREDICTED) == pytest.approx(f1_score(TRUTH, PREDICTED, average="macro"))


def test_the_accuracy_gap_is_the_largest_of_groups_with_enough_rows() -> None:
    rows = pd.DataFrame({"label": TRUTH, "answer": PREDICTED, "group.site": ["x", "x", "y", None]})
    assert label_scores.accuracy_gap(rows, "answer", 1) == 0.5
    assert math.isnan(label_scores.accuracy_gap(rows, "answer", 2))
    assert math.isnan(label_scores.accuracy_gap(rows.drop(columns="group.site"), "answer", 1))
