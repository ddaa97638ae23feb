"""The test rows of a comparison: those that a model was trained on are found."""

from pipeline.core.table import make
from pipeline.policies.promotion import find_known_rows


def test_rows_that_a_model_knows_are_found_by_id_source_and_text() -> None:
    rows = make(id=["1", "2", "3", "4"], source_id=["1", "9", "3", "4"], text=list("abcd"), origin="gold")
    known = make(id=["1", "9", "7"], source_id=["1", "9", "7"], text=["x", "y", " c "], origin="gold")
    assert find_known_rows(rows, [known]).tolist() == [True, True, True, False]
    assert not find_known_rows(rows, []).any()
