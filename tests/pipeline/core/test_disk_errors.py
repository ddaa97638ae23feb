"""A disk, a folder or a link that fails is named in one line with what to do; any other error is left alone."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.core.disk_errors import explain_disk_error, explain_disk_message
from pipeline.core.stage import describe_crash


def fill_disk() -> OSError:
    """The error of a write on a full disk."""
    try:
        with open("/dev/full", "w") as file:
            file.write("x")
    except OSError as error:
        return error
    raise AssertionError("a full disk took a character")


def test_a_full_disk_is_named_with_the_way_on() -> None:
    line = explain_disk_error(fill_disk())
    assert line is not None and "no space left on the disk; free some (`gleaner prune`" in line and "\n" not in line
    assert explain_disk_error(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert explain_disk_error(RuntimeError("(sqlite3.OperationalError) database or disk is full"))


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (errno.EROFS, "a disk that can only be read; mount it"),
        (errno.EACCES, "no permission; give this user"),
        (errno.EDQUOT, "no space left in this user's quota"),
        (errno.EIO, "a disk that fails"),
        (errno.EMFILE, "too many open files"),
    ],
)
def test_other_faults_of_a_disk_name_the_file(number: int, found: str) -> None:
    line = explain_disk_error(OSError(number, os.strerror(number), "data/a"))
    assert line is not None and line.startswith(f"expected to use data/a, found {found}")
    assert explain_disk_message(f"ERROR: failed: [Errno {number}] {os.strerror(number)}: 'data/a'") == line


def test_a_dangling_link_is_named_on_the_way_and_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stage").symlink_to("/gone")
    for path, number in (
        (tmp_path / "data" / "stage" / "a", errno.ENOENT),
        (tmp_path / "data" / "stage", errno.EEXIST),
    ):
        line = explain_disk_error(OSError(number, "", str(path)))
        assert (
            line is not None and f"{tmp_path}/data/stage to lead somewhere, found a link to /gone, which does" in line
        )
    message = f"ERROR: failed to reproduce 'x': [Errno 2] No such file or directory: '{tmp_path}/data/stage'"
    assert "found a link to /gone" in str(explain_disk_message(message))


def test_a_missing_file_and_any_other_error_are_left_alone(tmp_path: Path) -> None:
    assert explain_disk_error(FileNotFoundError(errno.ENOENT, "", str(tmp_path / "absent"))) is None
    assert explain_disk_error(ValueError("x")) is None and explain_disk_message("exited with 1") is None


def test_a_crash_whose_message_cannot_be_kept_says_so_and_quotes_nothing(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file where the folder would be")
    line = describe_crash(ValueError("a text of a row"), tmp_path / "scratch" / "crash.txt")
    assert line.startswith("ValueError: its message is not kept, because ") and "a text" not in line
