"""What is dropped into an inbox is taken in whole: not while it is being written, and never without a word."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from prefect.logging import disable_run_logger

from pipeline.core.errors import UserError
from tasks import inbox, refresh
from tasks.refresh import IntakeCounts
from tests.support import night_project as project

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
ROWS = [(f"message number {number}", "refund") for number in range(20)]


@pytest.fixture(autouse=True)
def outside_a_flow() -> Iterator[None]:
    with disable_run_logger():
        yield


def night(root: Path) -> IntakeCounts:
    found: IntakeCounts = refresh.refresh.fn(root, project.params(root), NIGHT)
    return found


def test_a_file_that_is_still_being_written_waits_for_the_next_night(tmp_path: Path) -> None:
    root = project.make(tmp_path)
    place = root / "inbox" / "texts" / "export.csv"
    begun, over = threading.Event(), threading.Event()

    def export() -> None:
        with place.open("w") as file:
            for line in project.csv(ROWS, "text", "label").splitlines(keepends=True):
                file.write(line[:9])
                file.flush()
                begun.set()
                time.sleep(0.2)
                file.write(line[9:])
        over.set()

    writer = threading.Thread(target=export)
    writer.start()
    begun.wait()
    during = night(root)
    assert not over.is_set() and during == IntakeCounts(left=1)
    assert "1 left in the inbox (empty, still being written, or a folder)" in during.line("texts")
    writer.join()
    after = night(root)
    assert (after.files, after.new, after.left, after.aside) == (1, len(ROWS), 0, {})
    (file,) = (root / "arrivals").glob("*.parquet")
    assert pd.read_parquet(file)["text"].tolist() == [text for text, _ in ROWS]


def test_what_is_left_in_an_inbox_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.make(tmp_path)
    monkeypatch.setattr(inbox, "SETTLING", 0.0)
    project.drop(root, "empty.csv", "")
    project.drop(root, "mit Umlaut ä.csv", project.csv(ROWS, "text", "label"))
    (root / "inbox" / "texts" / "folder").mkdir()
    (root / "inbox" / "texts" / "dangling.csv").symlink_to("nowhere")
    taken = night(root)
    assert (taken.files, taken.new, taken.left) == (1, len(ROWS), 3)
    assert night(root) == IntakeCounts(left=3)  # what was taken and set aside is none of it
    assert {path.name for path in (root / "inbox" / "texts").iterdir()} == {
        "empty.csv",
        "folder",
        "dangling.csv",
        "taken",
    }


def test_a_file_without_permission_is_in_the_way_of_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project.make(tmp_path)
    monkeypatch.setattr(inbox, "SETTLING", 0.0)
    shut = project.drop(root, "a.csv", project.csv(ROWS, "text", "label"))
    shut.chmod(0)
    if os.access(shut, os.R_OK):
        pytest.skip("this user may read every file")
    project.drop(root, "b.csv", project.csv([("another one", "refund")], "text", "label"))
    taken = night(root)
    assert (taken.unreadable, taken.new) == (1, 1)
    assert "found no permission" in (root / "inbox" / "texts" / "set-aside" / "a.csv.reason.txt").read_text()


def test_arrivals_that_are_gone_or_changed_end_the_night_before_it_trains_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project.make(tmp_path)
    monkeypatch.setattr(inbox, "SETTLING", 0.0)
    project.drop(root, "a.csv", project.csv(ROWS, "text", "label"))
    night(root)
    (file,) = (root / "arrivals").glob("*.parquet")
    refresh.check_whole(root, project.params(root))
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(UserError, match=f"{file.name}: expected the file that DVC keeps, found none; `dvc checkout "):
        refresh.check_whole(root, project.params(root))
    file.write_bytes(whole[:-1])
    with pytest.raises(UserError, match="found another"):
        refresh.check_whole(root, project.params(root))
    project.git(root, "rm", "-q", f"arrivals/{file.name}.dvc")
    refresh.check_whole(root, project.params(root))
