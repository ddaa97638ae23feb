"""Acceptance of pseudo-labels by confidence and class prior."""

import numpy as np

from pipeline.stages.pseudo_label.acceptance import accept_pseudo_labels


def test_the_surest_rows_are_accepted_and_none_with_another_label_than_its_likeliest() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.55, 0.45]])
    rows, labels = accept_pseudo_labels(probabilities, np.array([0.5, 0.5]), share=1.0, min_confidence=0.0)
    assert rows.tolist() == [0, 2]  # two of class 0, as the prior says; class 1 is likeliest for no row
    assert labels.tolist() == [0, 0]
    assert accept_pseudo_labels(probabilities, np.array([1.0, 0.0]), 1.0, 0.7)[0].tolist() == [0, 2]
