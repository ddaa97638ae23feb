"""Parquet to records, batch by batch; the footer is checked first, because a small file may hold very many rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.class_names import name_classes, schema_class_names
from pipeline.sources.decoding import escape_invalid
from pipeline.sources.limits import (
    ANY_RATIO_ROWS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_STREAM_BYTES,
    MIN_PARQUET_BYTES_A_ROW,
    check_limit,
    unpacked_limit,
)
from pipeline.sources.source import Record, Source, columns_to_read

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows are read by batches. A value that is stored once for very many rows grows in memory, which is noticed after one.
BATCH_BYTES, MIN_BATCH_ROWS, MAX_BATCH_ROWS = 2**26, 64, 10_000
MAX_VALUES_A_ROW = 20  # on average over MAX_ROWS: a cell may be a list of values
WHAT_BYTES = "bytes in the columns that are read"


def read(path: Path, name: str, _kind: str, split: str, params: Ingest) -> Source:
    """The records of a Parquet file, read as they are iterated; ``name`` is its name in messages.

    Raises UserError if it is none, too large, or has a needed column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = [escape_invalid(column) for column in file.schema_arrow.names]
            check_limit(name, len(columns), MAX_COLUMNS, "columns")
            needed = [column for column in columns_to_read(params.columns) if column in columns]
            repeated = [column for column in needed if columns.count(column) > 1]
            if repeated:
                listed = ", ".join(repeated)
                raise UserError(f"{name}: expected each column once, found {listed} more than once; rename it")
            unpacked = check_footer(file.metadata, needed, path.stat().st_size, name)
    except (pa.ArrowException, OSError):
        raise broken(name) from None
    return Source(name, split, columns, read_records(path, needed, unpacked, name))


def broken(name: str) -> UserError:
    """The error of a file that pyarrow cannot read."""
    return UserError(f"{name}: expected a whole Parquet file, found something else; set ingest.format")


def read_records(path: Path, needed: list[str], unpacked: int, name: str) -> Iterator[Record]:
    """The records of the needed columns, which take ``unpacked`` bytes by the file's footer.

    Raises UserError if they grow beyond the limit in memory, or if the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size, total, row = path.stat().st_size, 0, 0
    try:
        with pq.ParquetFile(path) as file:
            texts = [field.name for field in file.schema_arrow if is_text(field.type)]
            names = schema_class_names(file.schema_arrow.metadata)
            batch_rows = rows_at_once([file.schema_arrow.field(column).type for column in needed], unpacked)
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=batch_rows, columns=needed):
                total += sum(count_bytes(batch.column(column)) for column in needed)
                check_limit(name, total, unpacked_limit(size, MAX_STREAM_BYTES), WHAT_BYTES)
                values = {column: column_values(batch.column(column)) for column in needed}
                for key in names.keys() & values.keys():
                    values[key] = [name_classes(value, names[key]) for value in values[key]]
                for place in range(batch.num_rows):
                    row += 1
                    yield Record(row, {key: values[key][place] for key in needed})
    except (pa.ArrowException, OSError):
        raise broken(name) from None


def rows_at_once(kinds: "list[pa.DataType]", unpacked: int) -> int:
    """The rows of a batch of columns of these Arrow types, which take ``unpacked`` bytes by the file's footer.

    Text is read with its dictionary, so that a value which is stored once stays one in memory. Lists are not.
    """
    import pyarrow as pa

    if not any(pa.types.is_nested(kind) for kind in kinds):
        return MAX_BATCH_ROWS
    return min(MAX_BATCH_ROWS, max(MIN_BATCH_ROWS, BATCH_BYTES // max(1, unpacked)))


def check_footer(metadata: "pq.FileMetaData", needed: list[str], size: int, name: str) -> int:
    """The bytes of the needed columns, unpacked, by the footer of a file of ``size`` bytes.

    Raises UserError if it has too many rows or values, or too many for its size.
    """
    rows = metadata.num_rows
    check_limit(name, rows, MAX_ROWS, "rows")
    if rows > max(ANY_RATIO_ROWS, size // MIN_PARQUET_BYTES_A_ROW):
        raise UserError(
            f"{name}: expected at least {MIN_PARQUET_BYTES_A_ROW} byte a row, found {rows:,} rows in {size:,} bytes: "
            "the same values over and over; check what it holds"
        )
    paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    places = [i for i, path in enumerate(paths) if any(f"{path}.".startswith(f"{column}.") for column in needed)]
    unpacked, values = 0, 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        unpacked += sum(group.column(place).total_uncompressed_size for place in places)
        values += sum(group.column(place).num_values for place in places)
    check_limit(name, unpacked, unpacked_limit(size, MAX_STREAM_BYTES), WHAT_BYTES)
    check_limit(name, values, MAX_VALUES_A_ROW * MAX_ROWS, "values in the columns that are read")
    return unpacked


def is_text(kind: "pa.DataType") -> bool:
    """Whether values of an Arrow type are text or bytes."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def count_bytes(column: "pa.Array") -> int:
    """The bytes of an Arrow array, where a text counts as often as it occurs."""
    import pyarrow.compute as pc

    if not (hasattr(column, "dictionary") and is_text(column.type)):
        return int(column.nbytes)
    lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
    return int(column.indices.nbytes) + int(pc.sum(lengths).as_py() or 0)


def column_values(column: "pa.Array") -> list[Any]:
    """The values of an Arrow array; text comes as bytes, because pyarrow does not check that it is valid UTF-8.

    Times that Python has no type for, such as the year 20000, come as text.
    """
    import pyarrow as pa

    if hasattr(column, "dictionary"):
        values = column_values(column.dictionary)
        return [None if place is None else values[place] for place in column.indices.to_pylist()]
    try:
        return (column.cast(pa.large_binary()) if is_text(column.type) else column).to_pylist()
    except (ValueError, OverflowError):
        return column.cast(pa.large_string()).to_pylist()
