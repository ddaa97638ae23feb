"""Values and tables as text."""

import pandas as pd

from pipeline.pages.grid import format_value, to_grid


def test_values_are_formatted_for_readers() -> None:
    assert [
        format_value(value) for value in (None, float("nan"), True, 12345, 0.12345, 0.00001, [], ["a", 2], "x")
    ] == [*("–", "–", "yes", "12,345", "0.123", "1.0e-05", "–", "a, 2", "x")]
    counts = to_grid(pd.DataFrame({"name": ["a", "b"], "rows_seen": [1200.0, None], "share": [0.5, 1.0]}), "counts")
    assert counts.head == ["name", "rows seen", "share"]
    assert counts.rows == [["a", "1,200", "0.500"], ["b", "–", "1.000"]]
