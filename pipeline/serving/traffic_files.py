"""Writes what is kept of traffic: Parquet files with numbers, ids and labels, a folder a day, and never a text.

    data/traffic/2026-12-01/answers-034501123456-4711-9f3a.parquet
    data/traffic/2026-12-01/feedback-034501123456-4711-1c2d.parquet

A file has its name only once it is whole, so that whoever reads never meets a part of one, whatever was killed. Times
are UTC.
"""

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
    text_numbers: list[int]  # the same for the same text; not kept without vectors


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
        columns["text_number"] = pa.array(joined("text_numbers"), pa.int64())
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
    now = time.time()
    kept: list[tuple[Path, os.stat_result]] = []
    removed = 0
    for _, day in day_folders(folder):
        for path in list_files(day):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if stat.st_mtime < now - (PART_AGE if path.suffix == ".part" else days * 86_400):
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
    """The files of traffic in a day's folder, and parts of such files; none where another worker has removed it."""
    kinds = tuple(f"{dot}{kind}-" for kind in (ANSWERS, FEEDBACK) for dot in ("", "."))
    try:
        return [path for path in day.iterdir() if path.name.startswith(kinds) and path.suffix in (".parquet", ".part")]
    except FileNotFoundError:
        return []
