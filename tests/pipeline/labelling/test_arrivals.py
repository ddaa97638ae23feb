"""Which arrival files are unread: they go by name and content, so that a wrong clock or a withdrawn file hides none."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core.params import Ingest, Params
from pipeline.labelling.arrivals import ReadArrivals, file_digests, unread_rows, usable_rows
from pipeline.sources import arrival_files

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
AHEAD = NOW.replace(year=2027)


@pytest.fixture
def ingest(params: Callable[..., Params]) -> Ingest:
    columns: dict[str, Any] = {"text": ["text"], "label": "label", "split": None, "groups": {}}
    return params({"ingest": {"columns": columns}}).ingest


def arrive(root: Path, ingest: Ingest, text: str, now: datetime = NOW) -> Path:
    """Write a file of arrivals with one labelled row."""
    path = arrival_files.next_file(root / ingest.arrivals, now)
    rows = pd.DataFrame({"text": [text], "label": ["refund"], "split": "train", "answers": None, "version": None})
    arrival_files.write(rows, path)
    return path


def read_all(root: Path, ingest: Ingest) -> ReadArrivals:
    """All files that are there, as a training records them."""
    return ReadArrivals(frozenset(file_digests(ingest, root).items()))


def unread(root: Path, ingest: Ingest, read: ReadArrivals) -> list[str]:
    """The texts that are in no file of ``read``."""
    return unread_rows(read, ingest, root)["text"].tolist()


def test_what_arrives_after_a_night_with_a_wrong_clock_is_unread_even_once_its_file_is_withdrawn(
    tmp_path: Path, ingest: Ingest
) -> None:
    ahead = arrive(tmp_path, ingest, "from the future", AHEAD)
    read = read_all(tmp_path, ingest)
    assert unread(tmp_path, ingest, read) == []
    arrive(tmp_path, ingest, "the next night")
    assert unread(tmp_path, ingest, read) == ["the next night"]
    ahead.unlink()
    (later,) = (tmp_path / ingest.arrivals).iterdir()
    later.unlink()
    assert arrive(tmp_path, ingest, "a year earlier by name").name < ahead.name
    assert unread(tmp_path, ingest, read) == ["a year earlier by name"]


def test_a_name_that_was_used_before_is_unread_if_its_content_is_another(tmp_path: Path, ingest: Ingest) -> None:
    first = arrive(tmp_path, ingest, "wrong labels")
    read = read_all(tmp_path, ingest)
    first.unlink()
    assert arrive(tmp_path, ingest, "right labels") == first
    assert unread(tmp_path, ingest, read) == ["right labels"]


def test_an_older_training_has_read_all_files_up_to_its_newest(tmp_path: Path, ingest: Ingest) -> None:
    first, second = (arrive(tmp_path, ingest, text) for text in ("one", "two"))
    assert unread(tmp_path, ingest, ReadArrivals(up_to=first.name)) == ["two"]
    assert unread(tmp_path, ingest, ReadArrivals(up_to=second.name)) == []
    assert unread(tmp_path, ingest, ReadArrivals()) == usable_rows(ingest, tmp_path)["text"].tolist() == ["one", "two"]


@pytest.mark.parametrize("name", ["extra.parquet", "9999-12-31T23-59-59.parquet", "2026-13-40T00-00-00.parquet"])
def test_a_file_of_another_name_does_not_stop_what_arrives(tmp_path: Path, ingest: Ingest, name: str) -> None:
    stray = arrive(tmp_path, ingest, "brought by somebody").rename(tmp_path / ingest.arrivals / name)
    path = arrive(tmp_path, ingest, "new")
    assert path.name == "2026-11-24T02-00-00.parquet" and stray.exists()
    assert sorted(unread(tmp_path, ingest, ReadArrivals())) == ["brought by somebody", "new"]


def test_a_tracked_file_that_is_missing_keeps_its_name(tmp_path: Path, ingest: Ingest) -> None:
    missing = arrive(tmp_path, ingest, "only the remote has it")
    missing.rename(missing.with_name(missing.name + ".dvc"))
    assert arrive(tmp_path, ingest, "new").name == "2026-11-24T02-00-01.parquet"
