"""A Ray cluster: how this process joins it, and how it runs a function for each of several items.

ray is imported only where `compute.engine` of params.yaml is ``ray``.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.library_versions import library_versions
from pipeline.core.params import Compute, load_params
from pipeline.core.stage import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
CONNECT_SECONDS = 10
HIGHEST_PORT = 65_535
ROOM_SECONDS = 30  # between two looks whether a cluster that lost nodes still has room
RETRIES = 3  # of an item whose worker died; an error of the function itself is never tried again
LIBRARIES = ("gleaner", "torch", "transformers", "tokenizers", "scikit-learn", "numpy", "onnxruntime", "openvino")


def read_compute(root: Path) -> Compute:
    """The section ``compute`` of the project in ``root``; a folder without params.yaml computes in this process."""
    file = root / "params.yaml"
    if not file.exists():
        return Compute(engine="local", address="auto", cpus_per_worker=1, pretrain_workers=1, finetune_workers=1)
    return load_params(file).compute


def connect(compute: Compute) -> None:
    """Join the cluster at `compute.address`, unless this process is in one already.

    ``auto`` is the cluster that this machine belongs to, and ``local`` one that lives as long as this process. A
    cluster is joined with its token, because whoever reaches one without runs code on its nodes; RAY_AUTH_MODE=disabled
    is for networks where that may be. Raises UserError if Ray is not installed or no cluster answers.
    """
    if find_spec("ray") is None:
        raise UserError(
            "compute.engine: expected the package ray, found none; "
            "install it with `pip install 'gleaner[ray]' -c constraints.txt`, or set compute.engine: local"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it as it is imported
    import ray
    from ray.exceptions import AuthenticationError

    if ray.is_initialized():
        return
    options: dict[str, Any] = {"address": compute.address, "log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if compute.address == "local":
            options |= {"include_dashboard": False}
        else:
            require_listener(compute.address)
        ray.init(**options)
    except AuthenticationError:
        raise UserError(
            f"compute.address: expected the token of the cluster at {compute.address}, found none or another; "
            "start it with RAY_AUTH_MODE=token, and copy ~/.ray/auth_token of its head to this machine"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"compute.address: expected a Ray cluster at {compute.address}, found {type(error).__name__}; "
            "start one with `ray start --head` on this machine, or set compute.address: local"
        ) from None


def require_listener(address: str) -> None:
    """Raises OSError if nothing listens at ``host:port``: Ray would try for minutes; ``auto`` passes.

    Raises UserError for an address of another form, such as that of Ray's client.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise UserError(
            f"compute.address: expected auto, local or host:port, found {address}; correct it (Gleaner runs on a node "
            "of the cluster, and does not use ray://)"
        )
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
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

    Raises UserError in its place, and where workers die again and again; an error of the work itself passes.
    """
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayError as error:
        cause = find_user_error(error)
        if cause is not None:
            raise UserError(str(cause)) from None
        if isinstance(error, RayTaskError):
            raise
        raise UserError(
            f"compute: expected the cluster to do the work, found {type(error).__name__} after {RETRIES} retries; "
            "see /tmp/ray/session_latest/logs on its nodes"
        ) from None


def find_user_error(error: BaseException) -> UserError | None:
    """The UserError among the causes of an error that Ray raised; None if there is none."""
    from ray.exceptions import RayError

    link: BaseException | None = error
    while link is not None:
        if isinstance(link, UserError) and not isinstance(link, RayError):  # Ray's copy has a traceback as its message
            return link
        link = getattr(link, "cause", None) or link.__cause__
    return None


def run_each(
    function: Callable[[Item], Result], items: Sequence[Item], compute: Compute, description: str
) -> list[Result]:
    """The results of ``function`` for each item, in the order of the items, as a list; see `iterate_each`.

    ``description`` begins the progress line, which counts finished items.
    """
    return list(progress(iterate_each(function, items, compute), description, total=len(items)))


def iterate_each(function: Callable[[Item], Result], items: Iterable[Item], compute: Compute) -> Iterator[Result]:
    """The result of ``function`` for each item, in the order of the items, as the workers of the cluster have them.

    An item whose worker dies is run again on another one, up to `RETRIES` times. The function and the items are sent by
    pickle; files that they name must lie on a file system that all nodes share. Raises what the function raises, and
    UserError as `connect` does, where a node has other libraries, and where no node is left that has room.
    """
    import ray

    connect(compute)
    count_workers(compute)
    task: Any = ray.remote(num_cpus=compute.cpus_per_worker, max_retries=RETRIES)(call)
    sent = ray.put(function)
    pending = [task.remote(sent, item, installed_libraries()) for item in items]
    try:
        with plain_errors():
            for result in pending:
                while not ray.wait([result], timeout=ROOM_SECONDS)[0]:
                    count_workers(compute)
                yield ray.get(result)
    except BaseException:  # or whoever asked wants no more
        for result in pending:
            ray.cancel(result)
        raise


def call(function: Callable[[Item], Result], item: Item, libraries: dict[str, str]) -> Result:
    """The result of ``function`` in a worker whose ``libraries`` are those of the driver.

    Raises UserError if they are others.
    """
    begin_work(libraries)
    return function(item)


def begin_work(libraries: dict[str, str]) -> None:
    """Let only the owner read what this worker writes. Raises UserError if its libraries are not the driver's."""
    restrict_new_files()
    found = installed_libraries()
    differing = [name for name in LIBRARIES if found.get(name) != libraries.get(name)]
    if differing:
        raise UserError(
            f"compute: expected workers with {name_versions(differing, libraries)}, "
            f"found {name_versions(differing, found)}; install the same on every node"
        )


def name_versions(names: list[str], versions: dict[str, str]) -> str:
    """Libraries with their versions as a line names them."""
    return ", ".join(f"{name} {versions.get(name, 'missing')}" for name in names)


@cache
def installed_libraries() -> dict[str, str]:
    """The versions of what computes results, by name; what is not installed is left out."""
    return library_versions(LIBRARIES)


def folder_of_machine(folder: Path, home: str) -> Path:
    """``folder`` on the machine named ``home``, and on any other one a folder of its own in there.

    It is for what processes of one machine may share, but not machines: an SQLite database, files named by process id.
    """
    here = socket.gethostname()
    return folder if here == home else folder / here
