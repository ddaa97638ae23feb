"""The stage as a whole: stable ids, and one line for data that cannot train or test a classifier."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from tests.support.ingesting import ROOT, csv_text, ingest, random_rows, read_splits, write

SHARES = {"validation": 0.0, "test": 0.2, "stratify": True}


def test_ids_do_not_depend_on_split_or_run(tmp_path: Path) -> None:
    rows = random_rows(40)
    write(tmp_path, train__csv=csv_text(rows[:30]), test__csv=csv_text(rows[30:]), all__csv=csv_text(rows))
    ingest(tmp_path)
    id_by_text = {row.text: row.id for part in read_splits(tmp_path).values() for row in part.itertuples()}
    ingest(tmp_path, train=["all.csv"], test=[], split=SHARES)
    id_by_text_if_drawn = {row.text: row.id for part in read_splits(tmp_path).values() for row in part.itertuples()}
    assert id_by_text == id_by_text_if_drawn
    assert id_by_text[rows[0][0]] == table.row_id("raw", rows[0][0])


def test_no_test_rows_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv_text(random_rows(30)))
    with pytest.raises(UserError, match="ingest.test: expected test rows, found none"):
        ingest(tmp_path, test=[])


def test_a_user_error_ends_the_command_with_one_line_and_code_2(tmp_path: Path) -> None:
    content = (ROOT / "params.yaml").read_text().replace("path: data/demo", "path: nowhere")
    (tmp_path / "params.yaml").write_text(content)
    command = [sys.executable, "-m", "pipeline.stages.ingest"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr == "error: ingest.path: expected a file or folder, found no nowhere; correct the path\n"


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("one,a\ntwo,a\n", "three,b\n", "ingest.train: expected labelled training rows of at least 2 classes, found 2"),
        ("one,\ntwo,\n", "three,b\nfour,a\n", "ingest.train: expected .* found 0 rows of 0"),
        ("one,a\ntwo,b\n", "three,\n", "test.csv: expected at least one usable row, found 1 no label"),
    ],
)
def test_data_that_cannot_train_or_test_is_an_error(tmp_path: Path, train: str, test: str, message: str) -> None:
    write(tmp_path, train__csv=f"text,label\n{train}", test__csv=f"text,label\n{test}")
    with pytest.raises(UserError, match=message):
        ingest(tmp_path)


def test_no_message_quotes_the_text_of_a_row(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label\nsecret,\n", test__csv="text,label\nsecret too,\n")
    with pytest.raises(UserError) as error:
        ingest(tmp_path)
    assert "secret" not in str(error.value)
