"""How a command ends that the user got wrong or stopped: one line on stderr, and the exit code for it."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pipeline.core.errors import UserError

P = ParamSpec("P")


def exit_code(stopped: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """For what a command does: 2 on a user's mistake, 130 on Ctrl-C; ``stopped`` says what to do, or what is left."""

    def ended(work: Callable[P, int]) -> Callable[P, int]:
        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return work(*args, **kwargs)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print(f"stopped; {stopped}", file=sys.stderr)
                return 130

        return run

    return ended
