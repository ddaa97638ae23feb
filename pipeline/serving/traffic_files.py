"""What is kept of traffic: Parquet files with numbers, ids and labels, a folder a day, and never a text.

    data/traffic/2026-12-01/answers-034501123456-4711-9f3a.parquet
    data/traffic/2026-12-01/feedback-034501123456-4711-1c2d.parquet

A file has its name only once it is whole, so that whoever reads never meets a part of one, whatever was killed. Times
are UTC.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.policies.monitoring.traffic import NO_LABEL, Traffic

if TYPE_CHECKING:
    import pyarrow as pa

ANSWERS, FEEDBACK = "answers", "feedback"  # the kinds of files
PART_AGE = 3600.0  # seconds after which a part of a file has no writer any more


@dataclass(frozen=True)
class AnsweredTexts:
    """What is kept of one request; all columns have a row for each text."""

    at: datetime
    key: str  # the id of the API key
    version: str | None
    digest: str  # SHA-256 of the bundle's manifest
    latency_ms: float
    ids: list[str]
    labels: list[str | None]  # None where the model abstained
    confidences: np.ndarray  # (texts,) float32, 0 to 1
    margins: np.ndarray  # (texts,) float32, 0 to 1
    vectors: np.ndarray  # (texts, width) float16; a width of 0 where none are kept


@dataclass(frozen=True)
class GivenLabel:
    """The right label of a prediction, as the service was told it."""

    at: datetime
    key: str
    id: str
    label: str


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of the most probable label, and by how much it is above the next, both (texts,), float32.

    ``probabilities`` is (texts, labels), float32 or float64; with one label only, it is 1 above none.
    """
    two = np.sort(probabilities, axis=1)[:, -2:].astype(np.float32)
    return two[:, -1], two[:, 1] - two[:, 0] if two.shape[1] == 2 else np.ones(len(two), np.float32)


def answers_table(answers: list[AnsweredTexts]) -> "pa.Table":
    """The rows of requests whose vectors have the same width, in the order of time."""
    import pyarrow as pa

    def column(name: str) -> list[Any]:
        return [getattr(one, name) for one in answers for _ in one.ids]

    def joined(name: str) -> Any:
        return [value for one in answers for value in getattr(one, name)]

    labels = joined("labels")
    vectors = np.concatenate([one.vectors for one in answers])
    columns = {
        "time": pa.array(column("at"), pa.timestamp("us", tz="UTC")),
        "id": pa.array(joined("ids"), pa.string()),
        "key": pa.array(column("key"), pa.string()),
        "version": pa.array(column("version"), pa.string()),
        "digest": pa.array(column("digest"), pa.string()),
        "label": pa.array(labels, pa.string()),
        "confidence": pa.array(np.concatenate([one.confidences for one in answers]), pa.float32()),
        "margin": pa.array(np.concatenate([one.margins for one in answers]), pa.float32()),
        "abstained": pa.array([label is None for label in labels], pa.bool_()),
        "latency_ms": pa.array(column("latency_ms"), pa.float32()),
    }
    if width := vectors.shape[1]:
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float16()), width)
    return pa.table(columns).sort_by("time")


def feedback_table(given: list[GivenLabel]) -> "pa.Table":
    """The given labels, a row each."""
    import pyarrow as pa

    return pa.table(
        {
            "time": pa.array([one.at for one in given], pa.timestamp("us", tz="UTC")),
            "id": pa.array([one.id for one in given], pa.string()),
            "key": pa.array([one.key for one in given], pa.string()),
            "label": pa.array([one.label for one in given], pa.string()),
        }
    )


def write_table(folder: Path, kind: str, content: "pa.Table") -> Path:
    """Write a table as a new file of today's folder, and return it. Raises OSError if the disk does not take it."""
    import pyarrow.parquet as pq

    now = datetime.now(UTC)
    day = folder / f"{now:%Y-%m-%d}"
    day.mkdir(parents=True, exist_ok=True)
    name = f"{kind}-{now:%H%M%S%f}-{os.getpid()}-{secrets.token_hex(2)}.parquet"
    part, path = day / f".{name}.part", day / name
    try:
        pq.write_table(content, part, compression="zstd")
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return path


def day_folders(folder: Path) -> list[tuple[date, Path]]:
    """The folders of days, the oldest first; other things in ``folder`` are left alone."""
    days = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            days.append((date.fromisoformat(path.name), path))
        except ValueError:
            continue
    return sorted(days)


def remove_old(folder: Path, days: float, megabytes: int) -> int:
    """Remove files beyond ``days``, then the oldest beyond ``megabytes``; returns how many. Another may do so, too."""
    oldest = time.time() - days * 86_400
    kept: list[tuple[Path, os.stat_result]] = []
    removed = 0
    for _, day in day_folders(folder):
        for path in list_files(day):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            is_lost_part = path.suffix == ".part" and stat.st_mtime < time.time() - PART_AGE
            if stat.st_mtime < oldest or is_lost_part:
                path.unlink(missing_ok=True)
                removed += 1
            elif path.suffix == ".parquet":
                kept.append((path, stat))
    size = sum(stat.st_size for _, stat in kept)
    for path, stat in sorted(kept, key=lambda one: one[1].st_mtime):
        if size <= megabytes * 1_000_000:
            break
        path.unlink(missing_ok=True)
        size, removed = size - stat.st_size, removed + 1
    for day_date, day in day_folders(folder):
        if day_date < datetime.now(UTC).date():
            with suppress(OSError):  # it has files, or another worker has removed it
                day.rmdir()
    return removed


def list_files(day: Path) -> list[Path]:
    """The files of a day's folder; none where another worker has removed it."""
    try:
        return list(day.iterdir())
    except FileNotFoundError:
        return []


def files_between(folder: Path, kind: str, since: datetime, until: datetime) -> Iterator[Path]:
    """The files of a kind that may hold rows of a time; a row is written a while after its time, by the next day."""
    for day, path in day_folders(folder):
        if since.date() <= day <= until.date() + timedelta(days=1):
            yield from sorted(path.glob(f"{kind}-*.parquet"))


def read_tables(
    folder: Path, kind: str, since: datetime, until: datetime, most: int | None = None
) -> "tuple[list[pa.Table], int]":
    """The rows of a time in each file that has some, the newest file first, and the number of unreadable files.

    Once there are ``most`` rows, older files are left unread.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables: list[pa.Table] = []
    damaged = 0
    for path in reversed(list(files_between(folder, kind, since, until))):
        if most is not None and sum(map(len, tables)) >= most:
            break
        try:
            content = pq.ParquetFile(path).read()
            times = content["time"]
            in_time = pc.and_(pc.greater_equal(times, pa.scalar(since)), pc.less(times, pa.scalar(until)))
        except FileNotFoundError:  # removed meanwhile, being too old
            continue
        except (OSError, KeyError, pa.ArrowException):
            damaged += 1
            continue
        tables.append(content.filter(in_time))
    return [content for content in tables if len(content)], damaged


def to_traffic(tables: "list[pa.Table]") -> Traffic:
    """The rows of tables of answers, in the order of time; vectors only if all have them, of one width."""
    import pyarrow as pa

    if not tables:
        empty = np.empty(0, object)
        return Traffic(np.empty(0, "datetime64[us]"), empty, empty, empty, np.empty(0), np.empty(0), None)
    widths = {content["vector"].type.list_size if "vector" in content.column_names else 0 for content in tables}
    width = widths.pop() if len(widths) == 1 else 0
    names = [name for name in tables[0].column_names if name != "vector" or width]
    content = pa.concat_tables([one.select(names) for one in tables]).sort_by("time").combine_chunks()
    labels = np.array([NO_LABEL if label is None else label for label in content["label"].to_pylist()], object)
    vectors = None
    if width:
        values = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in content["vector"].chunks])
        vectors = values.reshape(-1, width).astype(np.float32)
    return Traffic(
        content["time"].to_numpy().astype("datetime64[us]"),
        np.array(content["id"].to_pylist(), object),
        np.array(content["key"].to_pylist(), object),
        labels,
        content["confidence"].to_numpy().astype(np.float64),
        content["margin"].to_numpy().astype(np.float64),
        vectors,
    )
