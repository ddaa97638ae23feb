"""A user's mistake in a task: a failed state with its one line, where Prefect would log a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from prefect.states import Failed

from pipeline.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


def told(work: Callable[P, T]) -> Callable[P, T]:
    """What a task or a flow runs; its UserError becomes the state Failed, which raises it again where it is called."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except UserError as error:
            return cast(T, Failed(message=f"error: {error}", data=error))

    return run
