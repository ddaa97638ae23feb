"""A Ray cluster: how this process joins it, and how it runs a function for each of several items.

ray is imported only where `compute.engine` of params.yaml is ``ray``.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.errors import UserError
from pipeline.core.params import Compute, load_params

Item = TypeVar("Item")
Result = TypeVar("Result")
CONNECT_SECONDS = 10
RETRIES = 3  # of an item whose worker died; an error of the function itself is never tried again


def read_compute(root: Path) -> Compute:
    """The section ``compute`` of the project in ``root``; a folder without params.yaml computes in this process."""
    file = root / "params.yaml"
    if not file.exists():
        return Compute(engine="local", address="auto", cpus_per_worker=1, pretrain_workers=1, finetune_workers=1)
    return load_params(file).compute


def connect(compute: Compute) -> None:
    """Join the cluster at `compute.address`, unless this process is in one already.

    ``auto`` is the cluster that this machine belongs to, and ``local`` one that lives as long as this process. Raises
    UserError if Ray is not installed or no cluster answers.
    """
    if find_spec("ray") is None:
        raise UserError(
            "compute.engine: expected the package ray, found none; "
            "install it with `pip install 'gleaner[ray]' -c constraints.txt`, or set compute.engine: local"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if compute.address == "local":
            options |= {"include_dashboard": False}
        else:
            require_listener(compute.address)
            options |= {"address": compute.address}
        if not ray.is_initialized():
            ray.init(**options)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"compute.address: expected a Ray cluster at {compute.address}, found {type(error).__name__}; "
            "start one with `ray start --head` on this machine, or set compute.address: local"
        ) from None


def require_listener(address: str) -> None:
    """Raises OSError if nothing listens at ``host:port``: Ray would try for minutes. Other addresses pass."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        with socket.create_connection((host, int(port)), CONNECT_SECONDS):
            pass


def count_workers(compute: Compute) -> int:
    """How many workers of `compute.cpus_per_worker` the cluster has room for.

    Raises UserError if it has no room for any.
    """
    import ray

    cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    largest = max(cpus, default=0)
    if largest < compute.cpus_per_worker:
        raise UserError(
            f"compute.cpus_per_worker: expected at most {largest}, the CPUs of the largest node, "
            f"found {compute.cpus_per_worker}; lower it"
        )
    return sum(count // compute.cpus_per_worker for count in cpus)


@contextmanager
def plain_errors() -> Iterator[None]:
    """A block in which an error of Ray whose cause is a worker's UserError becomes that one.

    Raises UserError in its place; other errors pass.
    """
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        cause = find_user_error(error)
        if cause is None:
            raise
        raise UserError(str(cause)) from None


def find_user_error(error: BaseException) -> UserError | None:
    """The UserError among the causes of an error that Ray raised; None if there is none."""
    from ray.exceptions import RayError

    link: BaseException | None = error
    while link is not None:
        if isinstance(link, UserError) and not isinstance(link, RayError):  # Ray's copy has a traceback as its message
            return link
        link = getattr(link, "cause", None) or link.__cause__
    return None


def run_each(function: Callable[[Item], Result], items: Iterable[Item], compute: Compute) -> list[Result]:
    """The results of ``function`` for each item, in the order of the items, as a list; see `iterate_each`."""
    return list(iterate_each(function, items, compute))


def iterate_each(function: Callable[[Item], Result], items: Iterable[Item], compute: Compute) -> Iterator[Result]:
    """The result of ``function`` for each item, in the order of the items, as the workers of the cluster have them.

    An item whose worker dies is run again on another one, up to `RETRIES` times. The function and the items are sent by
    pickle; files that they name must lie on a file system that all nodes share. Raises what the function raises, and
    UserError as `connect` does.
    """
    import ray

    connect(compute)
    count_workers(compute)
    task: Any = ray.remote(num_cpus=compute.cpus_per_worker, max_retries=RETRIES)(call)
    sent = ray.put(function)
    pending = [task.remote(sent, item) for item in items]
    with plain_errors():
        for result in pending:
            yield ray.get(result)


def call(function: Callable[[Item], Result], item: Item) -> Result:
    """The result of ``function``: Ray itself takes functions only, and no partial."""
    return function(item)
