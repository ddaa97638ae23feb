"""Files that would fill the memory or the night are answered within seconds, in one line or row by row."""

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Columns, Ingest
from pipeline.sources import files, limits
from pipeline.sources.source import Record, Source
from tests.support.ingesting import params

SECONDS = 5.0  # of the processor, for each file


def read(path: Path, section: Ingest | None = None) -> Source:
    """The records of one file, within the time."""
    start = time.process_time()
    try:
        return files.read_file(path, path.name, "train", section or params())
    finally:
        assert time.process_time() - start < SECONDS


def repeated(value: str, rows: int) -> pa.DictionaryArray:
    """A column that holds one value in all rows, and next to nothing on disk."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([value]))


@pytest.mark.parametrize("columns", [40_000, 300_000])
@pytest.mark.parametrize("name", ["column", "a"])
def test_a_file_on_one_line_is_refused_at_once(tmp_path: Path, columns: int, name: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(",".join(f"{name}{i if name == 'column' else ''}" for i in range(columns)))
    with pytest.raises(UserError, match=f"in.csv: expected at most 10,000 columns, found {columns:,}"):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        'a","\n' * 60_000,
        "text,label\n" + 'a","\n' * 60_000,
        ",".join(f"c{i}" for i in range(9_000)) + "\n" + 'a","\n' * 20_000,
        "text,label\n" + '"abc\n' * 40_000,
        'text,label\n"abc\n' + '""a\n' * 40_000,
        "text,label\n" + '"' * 1_000_000,
        "text,label\n" + 'a","' * 300_000,
        'text,label\n"' + '\\"' * 500_000,
        "\n" * 200_000,
        "\r" * 200_000,
    ],
    ids=range(10),
)
def test_the_time_grows_with_the_file_only(tmp_path: Path, content: str) -> None:
    (tmp_path / "in.csv").write_text(content)
    read(tmp_path / "in.csv")


@pytest.mark.parametrize(
    "content", ['{"a":[\n' * 60_000, '{"text":\n"a"\n' * 20_000, "[" * 200_000, '[\n"' * 60_000, '{"a":' * 20_000]
)
def test_broken_json_takes_no_time_either(tmp_path: Path, content: str) -> None:
    (tmp_path / "in.json").write_text(content)
    try:
        source = read(tmp_path / "in.json")
        assert all(record.fault for record in source.records)
    except UserError as error:
        assert "\n" not in str(error)


def test_a_parquet_file_of_very_many_rows_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": repeated("hello", 30_000_000)}), path, compression="zstd")
    with pytest.raises(UserError, match="in.parquet: expected at most 20,000,000 rows, found 30,000,000"):
        read(path)
    pq.write_table(pa.table({"text": repeated("hello", 3_000_000)}), path, compression="zstd")
    with pytest.raises(UserError, match="in.parquet: expected at least 1 byte a row, found 3,000,000 rows in"):
        read(path)


def test_a_parquet_value_that_is_repeated_until_memory_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": repeated("hello " * 200_000, 500_000)}), path, compression="zstd")
    with pytest.raises(UserError, match="in.parquet: expected at most 67,108,864 bytes in the columns that are read"):
        read(path)


def test_gzip_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"\0" * 2**27, 1))
    with pytest.raises(UserError, match="in.csv.gz: expected at most 67,108,864 bytes in a gzip file of .*found more"):
        read(path)
    path.write_bytes(gzip.compress(b"text,label\na,b\n")[:-4])
    with pytest.raises(UserError, match="in.csv.gz: expected a whole gzip file"):
        read(path)


def test_rows_and_bytes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,label\n" + "a,b\n" * 20)
    monkeypatch.setattr(files, "MAX_ROWS", 10)
    with pytest.raises(UserError, match="in.csv: expected at most 10 rows, found more"):
        read(path)
    monkeypatch.setattr("pipeline.sources.packed.MAX_STREAM_BYTES", 10)
    with pytest.raises(UserError, match="in.csv: expected at most 10 bytes, found 91"):
        read(path)


def parquet(**columns: object) -> Callable[[Path], None]:
    """What writes a Parquet file of these columns."""
    return lambda path: pq.write_table(pa.table(columns), path)


def test_parquet_columns_of_any_type_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    labels = [
        pa.array([10**15 * 300, 0], pa.timestamp("ms")),  # a year that Python does not know
        pa.array([2**31 - 1, 0], pa.date32()),
        pa.array([2**61, 0], pa.duration("s")),
        pa.array([5, 6], pa.timestamp("ns", tz="UTC")),
        pa.array([{"x": 1}, None]),
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
        pa.array([[1], []]),
        pa.nulls(2),
    ]
    for column in labels:
        parquet(text=["a", "b"], label=column)(path)
        assert len(list(read(path).records)) == 2


def test_a_parquet_column_that_stands_twice_is_refused_if_it_is_needed(tmp_path: Path) -> None:
    path, values = tmp_path / "in.parquet", [pa.array(["a"])] * 3
    pq.write_table(pa.Table.from_arrays(values, names=["text", "text", "label"]), path)
    with pytest.raises(UserError, match="in.parquet: expected each column once, found text"):
        read(path)
    pq.write_table(pa.Table.from_arrays(values, names=["text", "other", "other"]), path)
    only_text = Columns(text=["text"], label=None, split=None, groups={})
    assert read(path, params().model_copy(update={"columns": only_text})).records == [Record(1, {"text": b"a"})]


def test_limits_are_above_real_data() -> None:
    assert limits.MAX_ROWS >= 1_000_000 and limits.MAX_BYTES >= 2**30
