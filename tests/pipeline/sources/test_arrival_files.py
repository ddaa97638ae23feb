"""Files in the folder of arrivals that no night wrote do not stop the nights."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.sources import arrival_files
from tests.support.ingesting import params

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
ROWS = pd.DataFrame({"text": ["one"], "label": ["a"], "split": ["train"], "answers": [None], "version": [None]})


def test_a_stray_file_is_left_out_and_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "arrivals"
    path = arrival_files.next_file(folder, NOW)
    arrival_files.write(ROWS, path)
    for name in ("stray.parquet", "2026-13-45T99-00-00.parquet", "zz.parquet"):
        ROWS.to_parquet(folder / name)
    assert arrival_files.list_files(folder) == [path]
    assert arrival_files.next_file(folder, NOW).name == "2026-11-24T02-00-01.parquet"
    assert arrival_files.read_all(params(), tmp_path)["raw"].tolist() == ["one"]
    assert (
        capsys.readouterr().err.count("not read, as `gleaner retrain` did not write it; move it to refresh.inbox") == 3
    )


def test_a_damaged_arrival_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "2026-11-24T02-00-00.parquet"
    arrival_files.write(ROWS, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="expected a file that `gleaner retrain` wrote, found none with text"):
        arrival_files.read_file(path)
