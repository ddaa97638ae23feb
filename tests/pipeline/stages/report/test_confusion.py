"""The confusion matrix of the report."""

from pathlib import Path

import pytest

from pipeline.core.stage import Paths
from pipeline.stages.report import confusion
from pipeline.stages.report.gather import Results, gather
from tests.support.report_inputs import LABELS, write_run


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return gather(Paths(write_run(tmp_path)))


def test_the_matrix_counts_every_test_row_once(results: Results) -> None:
    matrix = confusion.matrix(results)
    assert matrix is not None
    assert [name for name, _ in matrix] == LABELS
    assert sum(int(cell.rows) for _, cells in matrix for cell in cells) == 40
    assert [cell.share for cell in matrix[0][1]] == [0.8, 0.0, 0.2, 0.0]
    assert [cell.right for cell in matrix[1][1]] == [False, True, False, False]


def test_a_matrix_of_many_classes_is_a_picture(results: Results) -> None:
    many = [f"class {number}" for number in range(confusion.MAX_MATRIX_CLASSES + 1)]
    assert confusion.matrix(Results(**(vars(results) | {"labels": many}))) is None
