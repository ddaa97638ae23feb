"""A command's session with Prefect: on the server that is there or is started, with what its flow run tells stored."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from flows.prefect_server import interruptible, server

SETTLE = 15.0  # seconds for the server to store the last states

FlowRun = Callable[[str], AbstractContextManager[str]]


@contextmanager
def session(root: Path) -> Iterator[FlowRun]:
    """A server for the block, which is given `flow_run` to call with a kind; SIGTERM ends it as Ctrl-C does.

    Prefect reads its settings when it is imported: import it in here. What needs no server is best done before the flow
    run, in the seconds that a server takes to start.
    """
    with interruptible(), server(root) as ready:
        yield partial(flow_run, ready)


@contextmanager
def flow_run(ready: Callable[[], None], kind: str) -> Iterator[str]:
    """For a block that runs a flow: the name of its run, once the server is ready; at the end everything is stored.

    Raises KeyboardInterrupt on Ctrl-C and SIGTERM.
    """
    from prefect.exceptions import TerminationSignal

    logging.getLogger("prefect.task_runs").addFilter(said_once)
    ready()
    name = f"{kind} {datetime.now():%Y-%m-%d %H:%M:%S}"
    try:
        yield name
    except TerminationSignal:
        raise KeyboardInterrupt from None
    finally:
        settle(name)


def said_once(record: logging.LogRecord) -> bool:
    """Prefect logs the state that a task ends in twice, first with an empty traceback; what is tried again, once."""
    told = record.getMessage()
    return not told.startswith("Task run failed with state") or " will start " in told


def settle(name: str) -> None:
    """Wait until the server has stored what this process told it: logs and states of tasks arrive there later.

    A server that is stopped before loses them.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    own = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    deadline = time.monotonic() + SETTLE
    with get_client(sync_client=True) as client:
        ids = [flow_run.id for flow_run in client.read_flow_runs(flow_run_filter=own)]
        inner = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=ids))
        while time.monotonic() < deadline:
            states = [
                task.state
                for chosen in (own, inner)
                for task in client.read_task_runs(flow_run_filter=chosen, limit=200)
            ]
            if all(state and (state.is_final() or state.name == "NotReady") for state in states):
                return
            time.sleep(0.1)
