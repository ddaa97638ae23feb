"""Parquet to records; the footer is checked before any row is read, because a small file may hold very many."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.decoding import escape_invalid
from pipeline.sources.limits import (
    ANY_RATIO_ROWS,
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_ROWS,
    MIN_PARQUET_BYTES_A_ROW,
    check_limit,
)
from pipeline.sources.source import Record, Source, columns_to_read

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Rows read at once. A value that is stored once for very many rows grows in memory, which is noticed after a batch.
BATCH_ROWS, MIN_BATCH_ROWS = 10_000, 64


def read(path: Path, name: str, split: str, params: Ingest) -> Source:
    """The records of a Parquet file; ``name`` is its name in messages.

    Raises UserError if it is none, too large, or has a needed column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = [escape_invalid(column) for column in file.schema_arrow.names]
            check_limit(name, len(columns), MAX_COLUMNS, "columns")
            needed = [column for column in columns_to_read(params.columns) if column in columns]
            repeated = [column for column in needed if Counter(columns)[column] > 1]
            if repeated:
                raise UserError(
                    f"{name}: expected each column once, found {', '.join(repeated)} more than once; rename it"
                )
            unpacked = check_footer(file.metadata, path, name, needed)
            batch_rows = min(BATCH_ROWS, max(MIN_BATCH_ROWS, MAX_BYTES // max(1, unpacked)))
            values = read_columns(file, name, needed, batch_rows)
            count = file.metadata.num_rows
    except (pa.ArrowException, OSError):
        raise UserError(f"{name}: expected a whole Parquet file, found something else; set ingest.format") from None
    records = [Record(row + 1, {key: values[key][row] for key in needed}) for row in range(count)]
    return Source(name, split, columns, records)


def check_footer(metadata: "pq.FileMetaData", path: Path, name: str, needed: list[str]) -> int:
    """The bytes of the needed columns, unpacked.

    Raises UserError if a Parquet file has too many rows or values, or too many for its size on disk.
    """
    check_limit(name, metadata.num_rows, MAX_ROWS, "rows")
    size = path.stat().st_size
    if metadata.num_rows > max(ANY_RATIO_ROWS, size // MIN_PARQUET_BYTES_A_ROW):
        raise UserError(
            f"{name}: expected at least {MIN_PARQUET_BYTES_A_ROW} byte a row, found {metadata.num_rows:,} rows in "
            f"{size:,} bytes: the same values over and over; check what it holds"
        )
    unpacked, inner_values = 0, 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if any(f"{column.path_in_schema}.".startswith(f"{wanted}.") for wanted in needed):
                unpacked += column.total_uncompressed_size
                inner_values = max(inner_values, column.num_values)
    check_limit(name, unpacked, MAX_BYTES, "bytes in the columns that are read")
    check_limit(name, inner_values, 10 * MAX_ROWS, "values in a column")
    return unpacked


def read_columns(file: "pq.ParquetFile", name: str, needed: list[str], batch_rows: int) -> dict[str, list[Any]]:
    """The values of the needed columns. Raises UserError if they grow beyond the limit in memory."""
    values: dict[str, list[Any]] = {column: [] for column in needed}
    total = 0
    for batch in file.iter_batches(batch_size=batch_rows, columns=needed):
        total += batch.nbytes
        check_limit(name, total, MAX_BYTES, "bytes in the columns that are read")
        for column in needed:
            values[column] += column_values(batch.column(column))
    return values


def column_values(column: Any) -> list[Any]:
    """The values of an Arrow array; text comes as bytes, because pyarrow does not check that it is valid UTF-8.

    Times that Python has no type for, such as the year 20000, come as text.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    try:
        return (column.cast(pa.large_binary()) if is_text else column).to_pylist()
    except (ValueError, OverflowError):
        return column.cast(pa.large_string()).to_pylist()
