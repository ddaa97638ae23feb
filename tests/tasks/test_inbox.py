"""Files in an inbox are taken in when they are complete, and what stays there is counted."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from prefect.logging import disable_run_logger

from tasks import inbox, refresh
from tasks.refresh import IntakeCounts
from tests.support import night_project as project

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
ROWS = [(f"message number {number}", "refund") for number in range(20)]


@pytest.fixture(autouse=True)
def outside_a_flow() -> Iterator[None]:
    with disable_run_logger():
        yield


def take_in_texts(root: Path) -> IntakeCounts:
    counts: IntakeCounts = refresh.take_in_texts.fn(root, project.project_params(root), NIGHT)
    return counts


def test_a_file_that_is_still_being_written_waits_for_the_next_night(tmp_path: Path) -> None:
    """Also if the writer pauses for longer than a file needs to settle."""
    root = project.make_project(tmp_path)
    path = root / "inbox" / "texts" / "export.csv"
    content = project.to_csv(ROWS, "text", "label")
    with path.open("w") as file:
        file.write(content[:9])
        file.flush()
        hour_ago = time.time() - 3600
        os.utime(path, (hour_ago, hour_ago))
        during = take_in_texts(root)
        file.write(content[9:])
    assert during == IntakeCounts(left=1)
    assert "1 left in the inbox (empty, still being written, or a folder)" in during.line("texts")
    after = take_in_texts(root)
    assert (after.files, after.new, after.left, after.set_aside) == (1, len(ROWS), 0, {})
    (arrived,) = (root / "arrivals").glob("*.parquet")
    assert pd.read_parquet(arrived)["text"].tolist() == [text for text, _ in ROWS]


def test_entries_that_stay_in_an_inbox_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.make_project(tmp_path)
    monkeypatch.setattr(inbox, "SETTLING_SECONDS", 0.0)
    project.drop_file(root, "empty.csv", "")
    project.drop_file(root, "mit Umlaut ä.csv", project.to_csv(ROWS, "text", "label"))
    (root / "inbox" / "texts" / "folder").mkdir()
    (root / "inbox" / "texts" / "dangling.csv").symlink_to("nowhere")
    counts = take_in_texts(root)
    assert (counts.files, counts.new, counts.left) == (1, len(ROWS), 3)
    assert take_in_texts(root) == IntakeCounts(left=3)  # the folders taken and set-aside do not count
    assert {path.name for path in (root / "inbox" / "texts").iterdir()} == {
        "empty.csv",
        "folder",
        "dangling.csv",
        "taken",
    }


def test_a_file_without_permission_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.make_project(tmp_path)
    monkeypatch.setattr(inbox, "SETTLING_SECONDS", 0.0)
    unreadable = project.drop_file(root, "a.csv", project.to_csv(ROWS, "text", "label"))
    unreadable.chmod(0)
    if os.access(unreadable, os.R_OK):
        pytest.skip("this user may read every file")
    project.drop_file(root, "b.csv", project.to_csv([("another one", "refund")], "text", "label"))
    counts = take_in_texts(root)
    assert (counts.unreadable, counts.new) == (1, 1)
    assert "found no permission" in (root / "inbox" / "texts" / "set-aside" / "a.csv.reason.txt").read_text()
