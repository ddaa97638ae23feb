"""Rows that are set aside are told by file, and too many that cannot be used stop the run."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import csv_text, ingest, random_rows, rejected, write


def lines_of(rows: list[tuple[str, str]], broken: int) -> str:
    """A CSV file of which the first rows have a cell too many."""
    first, *lines = csv_text(rows).splitlines(keepends=True)
    return first + "".join(line.replace("\n", ",x\n") if i < broken else line for i, line in enumerate(lines))


def write_files(root: Path, broken: int) -> None:
    write(root, train__csv=lines_of(random_rows(100), broken), test__csv=csv_text(random_rows(30, seed=1)))


def test_losses_are_told_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, broken=10)
    metrics = ingest(tmp_path)
    assert metrics["rejected_by_file"] == ["train.csv: 10 of 100 rows set aside: 10 more cells than columns"]
    assert metrics["rejected_by_file"][0] in capsys.readouterr().err


def test_too_many_losses_stop_the_run(tmp_path: Path) -> None:
    write_files(tmp_path, broken=11)
    with pytest.raises(UserError) as error:
        ingest(tmp_path)
    assert str(error.value).startswith(
        "train.csv: expected at most 10% of the rows to be unusable (ingest.max_rejected_share), found 11 of 100 rows "
        "set aside: 11 more cells than columns, the first in row 2; correct the file"
    )
    assert ingest(tmp_path, max_rejected_share=0.2)["rejected_by_file"] == [
        "train.csv: 11 of 100 rows set aside: 11 more cells than columns"
    ]


def test_a_lost_file_is_not_hidden_by_large_ones(tmp_path: Path) -> None:
    write_files(tmp_path, broken=0)
    write(tmp_path, test__csv=lines_of(random_rows(30, seed=1), broken=20))
    with pytest.raises(UserError, match="test.csv: .* found 20 of 30 rows"):
        ingest(tmp_path, max_rejected_share=0.5)


def test_what_people_or_params_chose_and_duplicates_are_told_but_no_loss(tmp_path: Path) -> None:
    rows = random_rows(40)
    dropped = [(text, "spam") for text, _ in random_rows(40, seed=3)]
    write(tmp_path, train__csv=csv_text(rows + rows + dropped), test__csv=csv_text(random_rows(30, seed=1)))
    metrics = ingest(tmp_path, labels={"drop": ["spam"]}, max_rejected_share=0.0)
    assert metrics["rejected_by_file"] == ["train.csv: 80 of 120 rows set aside: 40 dropped label, 40 exact duplicate"]


def test_one_bad_row_of_a_small_file_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path, train__csv=lines_of(random_rows(8), 2), test__csv=csv_text(random_rows(30, seed=1)))
    metrics = ingest(tmp_path)
    assert metrics["rejected_by_file"] == ["train.csv: 2 of 8 rows set aside: 2 more cells than columns"]
    assert len(rejected(tmp_path)) == 2


def test_many_files_share_a_line(tmp_path: Path) -> None:
    rows = random_rows(130)
    files = {f"part{i:02}__csv": lines_of(rows[10 * i : 10 * i + 10], 1) for i in range(13)}
    write(tmp_path, **files, test__csv=csv_text(random_rows(30, seed=1)))
    losses = ingest(tmp_path, train=["part*.csv"])["rejected_by_file"]
    assert len(losses) == 11
    assert losses[-1] == "3 more files: 3 of 30 rows set aside: 3 more cells than columns"
