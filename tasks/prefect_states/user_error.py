"""A user's mistake in a task or a flow: a failed state with its one line, where Prefect would log a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect.states import Failed, State

from pipeline.core.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


def as_failed_state(work: Callable[P, T]) -> Callable[P, T]:
    """What a task or a flow runs; its UserError becomes the data of a state Failed, for `got` to raise again."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except UserError as error:
            return cast(T, Failed(message=f"error: {error}", data=error))

    return run


def result_of(state: State) -> Any:
    """What a task or a flow handed over with its state; what it raised is raised again."""
    found = state.result(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found
    return found
