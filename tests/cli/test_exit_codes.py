"""A user's error and Ctrl-C end a command with one line on stderr and an exit code."""

from pathlib import Path

import pytest

from cli.exit_codes import exit_code
from pipeline.core.errors import UserError


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (None, 1, ""),
        (UserError("gate.typo: expected no such key"), 2, "error: gate.typo: expected no such key\n"),
        (KeyboardInterrupt(), 130, "stopped; `gleaner run` goes on from here\n"),
    ],
)
def test_a_users_error_is_2_and_an_interruption_130_each_with_its_line(
    error: BaseException | None, code: int, stderr: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @exit_code(stopped="`gleaner run` goes on from here")
    def command(result: int) -> int:
        if error is not None:
            raise error
        return result

    assert command(1) == code
    assert capsys.readouterr() == ("", stderr)


def test_a_crash_is_1_with_one_line_and_its_traceback_in_a_file_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @exit_code(stopped="")
    def command() -> int:
        raise ValueError("could not read 'where is my parcel'")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").touch()
    assert command() == 1
    path = tmp_path / "data" / "scratch" / "commands" / "crash.txt"
    found = f"ValueError; its message may quote a row, so it is in {path}"
    line = f"error: expected no fault in the program, found {found}; "
    printed = capsys.readouterr().err
    assert printed.startswith(line) and printed.count("\n") == 1
    assert "where is my parcel" in path.read_text()
