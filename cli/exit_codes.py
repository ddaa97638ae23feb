"""Exit codes of commands: 2 for what the user can mend, 1 for a crash, 130 for Ctrl-C, each with one line on stderr."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import mkdtemp
from typing import ParamSpec

from pipeline.core.errors import UserError
from pipeline.core.printable import printable_lines
from pipeline.core.stage import Paths
from tasks.prefect_states.known_causes import explain, message_of

P = ParamSpec("P")


def exit_code(stopped: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorate a command's work so that it returns 2 on a UserError, 1 on a crash, and 130 on Ctrl-C.

    ``stopped`` is printed after Ctrl-C: how to go on, or what is left behind.
    """

    def decorate(work: Callable[P, int]) -> Callable[P, int]:
        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return work(*args, **kwargs)
            except KeyboardInterrupt:
                print(f"stopped; {stopped}", file=sys.stderr)
                return 130
            except Exception as error:  # noqa: BLE001  any message may quote a row
                return print_error(error)

        return run

    return decorate


def print_error(error: Exception) -> int:
    """Print one line about an error that ends a command on stderr; returns the exit code, 2 or 1.

    The traceback of a crash goes to a file that the line names: of the project, or in the system's folder for
    temporary files where the command runs in no project.
    """
    path = crash_folder(error) / "crash.txt"
    shown = explain(error, path)
    print(printable_lines(message_of(shown, path)), file=sys.stderr)
    return 2 if isinstance(shown, UserError) else 1


def crash_folder(error: Exception) -> Path:
    """The folder for the traceback; a new one that only this user can read where the command runs in no project."""
    if Path("params.yaml").is_file() or isinstance(error, UserError):
        return Paths(Path.cwd()).scratch("commands")
    return Path(mkdtemp(prefix="gleaner-"))
