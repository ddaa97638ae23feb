"""A user's error and Ctrl-C end a command with one line on stderr and an exit code."""

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


def test_any_other_exception_is_raised() -> None:
    @exit_code(stopped="")
    def command() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        command()
