"""A user's error in a task or a flow becomes a failed state with one line. Prefect would log a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect.states import Failed, State

from pipeline.core.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


def as_failed_state(work: Callable[P, T]) -> Callable[P, T]:
    """Decorate a task or a flow: its UserError becomes the data of a state Failed, and `result_of` raises it again."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except UserError as error:
            return cast(T, Failed(message=f"error: {error}", data=error))

    return run


def result_of(state: State) -> Any:
    """The result of a task or a flow. Raises the error that the task or flow ended with."""
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result
