"""Reads what is kept of traffic: the rows of a time, and how many texts came in each minute."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.policies.monitoring.traffic import NO_LABEL, Traffic, count_by_minute
from pipeline.serving.traffic_files import ANSWERS, FEEDBACK, day_folders

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = {
    ANSWERS: ("time", "id", "key", "version", "digest", "label", "confidence", "margin"),
    FEEDBACK: ("time", "id", "label"),
}
WITH_VECTORS = ("text_number", "vector")  # columns of answers, where vectors are kept


def read_tables(
    folder: Path, kind: str, since: datetime, until: datetime, most: int | None = None
) -> "tuple[list[pa.Table], int]":
    """The rows of a time in each file that has some, the newest file first, and the number of unreadable files.

    Once there are ``most`` rows, older files are left unread.
    """
    tables: list[pa.Table] = []
    damaged = rows = 0
    optional = WITH_VECTORS if kind == ANSWERS else ()
    for content in read_files(folder, kind, COLUMNS[kind], since, until, optional):
        if content is None:
            damaged += 1
        elif len(content):
            tables.append(content)
            rows += len(content)
        if most is not None and rows >= most:
            break
    return tables, damaged


def read_minutes(
    folder: Path, digest: str, since: datetime, until: datetime
) -> tuple[dict[str, Counter[np.datetime64]], int]:
    """The texts in each minute of a time, by key, that the version of this digest answered, and the unreadable files.

    One file is in memory at a time, so that a flood can be counted however large it is.
    """
    import pyarrow.compute as pc

    total: dict[str, Counter[np.datetime64]] = {}
    damaged = 0
    for content in read_files(folder, ANSWERS, ("time", "key", "digest"), since, until):
        if content is None:
            damaged += 1
            continue
        of_version = content.filter(pc.equal(content["digest"], digest))
        counts = count_by_minute(times_of(of_version), np.array(of_version["key"].to_pylist(), object))
        for key, minutes in counts.items():
            total.setdefault(key, Counter()).update(minutes)
    return total, damaged


def read_files(
    folder: Path,
    kind: str,
    columns: tuple[str, ...],
    since: datetime,
    until: datetime,
    optional: tuple[str, ...] = (),
) -> "Iterator[pa.Table | None]":
    """The rows of a time in each file, the newest file first; None for a file that is damaged or of another kind.

    All ``columns`` are wanted; ``optional`` ones are read where they are.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for path in reversed(list(files_between(folder, kind, since, until))):
        try:
            content = pq.ParquetFile(path).read([*columns, *optional])  # leaves out what is missing
            content.select(columns)  # raises KeyError
            times = content["time"]
            in_time = pc.and_(pc.greater_equal(times, pa.scalar(since)), pc.less(times, pa.scalar(until)))
            rows = content.filter(in_time)
        except FileNotFoundError:  # removed meanwhile, being too old
            continue
        except (OSError, KeyError, pa.ArrowException):
            yield None
        else:
            yield rows


def files_between(folder: Path, kind: str, since: datetime, until: datetime) -> Iterator[Path]:
    """The files of a kind that may hold rows of a time; a row is written a while after its time, by the next day."""
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date() + timedelta(days=1)
    for day, path in day_folders(folder):
        if first <= day <= last:
            yield from sorted(path.glob(f"{kind}-*.parquet"))


def to_traffic(tables: "list[pa.Table]") -> Traffic:
    """The rows of tables of answers, in the order of time; vectors only if all have them, of one width."""
    import pyarrow as pa

    if not tables:
        empty = np.empty(0, object)
        return Traffic(np.empty(0, "datetime64[us]"), empty, empty, empty, np.empty(0), np.empty(0), None, None)
    widths = {vector_width(content) for content in tables}
    width = widths.pop() if len(widths) == 1 else 0
    names = [*COLUMNS[ANSWERS], *(WITH_VECTORS if width else ())]
    content = pa.concat_tables([one.select(names) for one in tables]).sort_by("time").combine_chunks()
    numbers = vectors = None
    if width:
        numbers = content["text_number"].to_numpy()
        values = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in content["vector"].chunks])
        vectors = values.reshape(-1, width).astype(np.float32)
    return Traffic(
        times_of(content),
        np.array(content["id"].to_pylist(), object),
        np.array(content["key"].to_pylist(), object),
        np.array([NO_LABEL if label is None else label for label in content["label"].to_pylist()], object),
        content["confidence"].to_numpy().astype(np.float64),
        content["margin"].to_numpy().astype(np.float64),
        vectors,
        numbers,
    )


def vector_width(content: "pa.Table") -> int:
    """The width of a table's vectors; 0 without them, or without what tells texts apart, as an earlier Gleaner kept."""
    return content["vector"].type.list_size if set(WITH_VECTORS) <= set(content.column_names) else 0


def times_of(content: "pa.Table") -> np.ndarray:
    """The times of a table, (rows,), datetime64[us], UTC."""
    return content["time"].to_numpy().astype("datetime64[us]")
