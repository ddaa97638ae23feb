"""Exit codes of commands: 2 for a user's error, 130 for Ctrl-C, each with one line on stderr."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pipeline.core.errors import UserError
from pipeline.core.printable import printable_lines

P = ParamSpec("P")


def exit_code(stopped: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorate a command's work so that it returns 2 on a UserError and 130 on Ctrl-C.

    ``stopped`` is printed after Ctrl-C: how to go on, or what is left behind.
    """

    def decorate(work: Callable[P, int]) -> Callable[P, int]:
        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return work(*args, **kwargs)
            except UserError as error:
                print(f"error: {printable_lines(str(error))}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print(f"stopped; {stopped}", file=sys.stderr)
                return 130

        return run

    return decorate
