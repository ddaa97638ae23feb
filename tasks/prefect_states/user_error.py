"""An error in a task or a flow becomes a failed state with one line. Prefect would log a traceback, texts included."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from prefect.states import Failed, State

from pipeline.core.stage import Paths
from tasks.prefect_states.known_causes import explain, message_of

P = ParamSpec("P")
T = TypeVar("T")


def as_failed_state(work: Callable[P, T]) -> Callable[P, T]:
    """Decorate a task or a flow: an error in it becomes the data of a state Failed, and `result_of` raises it again.

    Prefect stores and prints what it is given, and any message may quote a row. So the data is the error that
    `explain` makes of it. The traceback is written to data/scratch/<name of the function>/crash.txt.
    """
    signature = inspect.signature(work)

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  any message may quote a row
            root = signature.bind(*args, **kwargs).arguments.get("root", Path.cwd())
            path = crash_file(root, work.__name__)
            shown = explain(error, path)
            return cast(T, Failed(message=message_of(shown, path), data=shown))

    return run


@contextmanager
def explained(root: Path, name: str) -> Iterator[None]:
    """Raise the error that `explain` makes of any error in the block; the traceback goes to ``name``'s crash file."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  any message may quote a row
        raise explain(error, crash_file(root, name)) from None


def crash_file(root: Path, name: str) -> Path:
    """The file for the traceback of a task or a flow."""
    return Paths(root).scratch(name) / "crash.txt"


def result_of(state: State) -> Any:
    """The result of a task or a flow. Raises the error that the task or flow ended with."""
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result
