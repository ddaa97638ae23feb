"""The row schema: tables are checked on every read and write, and written whole or not at all."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError


def rows(**changes: Any) -> pd.DataFrame:
    gold = table.make(id=["a", "b"], source_id=["a", "b"], text=["one", "two"], label=["x", None], origin="gold")
    return gold.assign(**changes)


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    written = rows(**{"group.age": ["<30", None]})
    table.write(written, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(table.read(tmp_path / "t.parquet"), written)
    assert table.group_columns(written) == ["group.age"]


def test_some_columns_are_those_of_the_whole_table_and_checked_alike(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table.write(rows(**{"group.age": ["<30", None]}), path)
    for columns in (["text"], ["weight", "id"], ["label", "group.age"]):
        pd.testing.assert_frame_equal(table.read_columns(path, columns), table.read(path)[columns])
    rows(id=["a", "a"]).to_parquet(path)
    with pytest.raises(UserError, match="1 rows with an impossible id, first id a"):
        table.read_columns(path, ["text"])
    rows().drop(columns="weight").to_parquet(path)
    with pytest.raises(UserError, match=r"missing \['weight'\]"):
        table.read_columns(path, ["text"])


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    table.write(table.empty_like(rows(**{"group.age": "old"})), tmp_path / "t.parquet")
    assert list(table.read(tmp_path / "t.parquet").columns) == [*table.COLUMNS, "group.age"]


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("text", ["one", "  "], "1 rows with an impossible text, first id b"),
        ("text", [None, "two"], "1 rows with an impossible text, first id a"),
        ("id", ["a", "a"], "1 rows with an impossible id, first id a"),
        ("origin", ["gold", "stolen"], "1 rows with an impossible origin, first id b"),
        ("weight", [1.0, -1.0], "1 rows with an impossible weight, first id b"),
        ("weight", [1.0, float("nan")], "1 rows with an impossible weight, first id b"),
        ("confidence", [0.5, 1.5], "1 rows with an impossible confidence, first id b"),
    ],
)
def test_an_impossible_row_is_named_by_its_id_and_never_by_its_text(
    tmp_path: Path, column: str, values: list[object], fault: str
) -> None:
    with pytest.raises(UserError, match=fault) as caught:
        table.write(rows(**{column: values}), tmp_path / "t.parquet")
    assert "two" not in str(caught.value)
    assert not (tmp_path / "t.parquet").exists()


def test_missing_and_unknown_columns_are_reported(tmp_path: Path) -> None:
    rows().drop(columns="weight").assign(extra=1).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"missing \['weight'\], unknown \['extra'\]"):
        table.read(tmp_path / "t.parquet")


def test_a_missing_file_is_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found no such file; run `dvc repro`"):
        table.read(tmp_path / "none.parquet")


def test_ids_are_equal_for_texts_that_look_alike_and_differ_between_sources() -> None:
    assert table.row_id("s", "caf\u00e9  now ") == table.row_id("s", "cafe\u0301 now")
    assert table.row_id("s", "now") != table.row_id("t", "now")


def test_cells_that_a_spreadsheet_would_run_are_neutralised(tmp_path: Path) -> None:
    table.write_csv(pd.DataFrame({"label": ["=1+1", "fine"], "n": [-1, 2]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "label,n\n'=1+1,-1\nfine,2\n"


@pytest.mark.parametrize("text", ["=1", "'=1", "''-x", "'quoted'", "it's", "+", "plain", "'"])
def test_an_apostrophe_that_was_added_can_be_stripped(tmp_path: Path, text: str) -> None:
    table.write_csv(pd.DataFrame({"text": [text]}), tmp_path / "t.csv")
    written = pd.read_csv(tmp_path / "t.csv")["text"].iloc[0]
    assert table.strip_apostrophe(written) == text and not written.startswith(("=", "+"))
