"""A flow that a command runs to its end: on the server that is there or is started, with what it tells stored."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from flows.run import said_once, settle
from flows.server import interruptible, server

T = TypeVar("T")


def session(root: Path, kind: str, work: Callable[[str], T]) -> T:
    """What ``work`` returns; it is given a name for its flow run, and may import Prefect.

    Raises KeyboardInterrupt on Ctrl-C and SIGTERM.
    """
    with interruptible(), server(root) as ready:
        from prefect.exceptions import TerminationSignal

        from tasks import registry

        logging.getLogger("prefect.task_runs").addFilter(said_once)
        logging.getLogger("prefect.flow_runs").addFilter(said_once)
        registry.connect(root)
        ready()
        name = f"{kind} {datetime.now():%Y-%m-%d %H:%M:%S}"
        try:
            return work(name)
        except TerminationSignal:
            raise KeyboardInterrupt from None
        finally:
            settle(name)
