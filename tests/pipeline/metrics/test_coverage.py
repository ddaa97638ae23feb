"""The curve of coverage and accuracy: the rows most like a class are answered first."""

import numpy as np

from pipeline.metrics.coverage import coverage_curve


def test_accuracy_is_that_of_the_rows_below_each_threshold():
    scores = np.array([0.4, 0.1, 0.3, 0.2])
    curve = coverage_curve(scores, np.array([False, True, False, True]))
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0] and curve["rows"].tolist() == [1, 2, 3, 4]
    assert curve["threshold"].tolist() == [0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(curve["accuracy"], [1, 1, 2 / 3, 0.5])


def test_many_rows_have_twenty_points_and_none_has_no_point():
    assert len(coverage_curve(np.arange(1000.0), np.ones(1000, dtype=bool))) == 20
    empty = coverage_curve(np.zeros(0), np.zeros(0, dtype=bool))
    assert empty.empty and list(empty) == ["coverage", "threshold", "rows", "accuracy"]
