"""A command's session with Prefect: a server for its flow run, which is stopped once every state is stored."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from flows.prefect_server import interruptible, running_server
from flows.server_address import NO_SERVER, ServerAddress, server_fault
from flows.server_watch import watched_server
from pipeline.core.errors import UserError
from tasks.prefect_states.known_causes import known_cause

STORE_TIMEOUT = 15.0  # seconds for the server to store the last logs and states

FlowRun = Callable[[str], AbstractContextManager[str]]


@contextmanager
def prefect_session(root: Path) -> Iterator[FlowRun]:
    """Run a block with a Prefect server; yields `flow_run`, which the block calls with the kind of its flow.

    Import Prefect inside the block: it reads its settings when it is imported. Work that needs no server is best done
    before the flow run, while the server starts. SIGTERM ends the block as Ctrl-C does.
    """
    with interruptible(), running_server(root) as wait_for_server:
        yield partial(flow_run, wait_for_server)


@contextmanager
def flow_run(wait_for_server: Callable[[], None], kind: str) -> Iterator[str]:
    """Run a block with a flow in it, once the server is ready; yields the name of the flow run.

    The block's end waits until the server has stored logs and states. Raises KeyboardInterrupt on Ctrl-C and SIGTERM,
    UserError if the server is at fault. A server that ends under the run ends the process with exit code 1.
    """
    from prefect.exceptions import TerminationSignal

    logging.getLogger("prefect.task_runs").addFilter(is_first_report)
    logging.getLogger("prefect.flow_runs").addFilter(without_traceback)
    wait_for_server()
    name = f"{kind} {datetime.now():%Y-%m-%d %H:%M:%S}"
    try:
        with watched_server(os.environ["PREFECT_API_URL"]):
            yield name
    except TerminationSignal:
        raise KeyboardInterrupt from None
    except Exception as error:
        if cause := known_cause(error):  # of a server that is gone: its address is known only here
            raise UserError(cause) from None
        raise
    finally:
        server = ServerAddress(os.environ["PREFECT_API_URL"], os.environ.get("PREFECT_API_AUTH_STRING"))
        if server_fault(server) == NO_SERVER:
            print("warning: the Prefect server is gone: the last logs and states of this run are lost", file=sys.stderr)
        else:
            wait_until_stored(name)


def is_first_report(record: logging.LogRecord) -> bool:
    """Whether a log record is to be shown: Prefect repeats a failed task's state with an empty traceback."""
    message = record.getMessage()
    return not message.startswith("Task run failed with state") or " will start " in message


def without_traceback(record: logging.LogRecord) -> bool:
    """Leave the traceback out of a log record: where Prefect fails, the command prints one line with the cause."""
    record.exc_info = record.exc_text = None
    return True


def wait_until_stored(name: str) -> None:
    """Wait until the server has stored all logs and task states of a flow run, which arrive later than they happen.

    A server that is stopped earlier loses them.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    by_name = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    deadline = time.monotonic() + STORE_TIMEOUT
    with get_client(sync_client=True) as client:
        ids = [flow_run.id for flow_run in client.read_flow_runs(flow_run_filter=by_name)]
        by_parent = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=ids))
        while time.monotonic() < deadline:
            states = [
                task.state
                for runs in (by_name, by_parent)
                for task in client.read_task_runs(flow_run_filter=runs, limit=200)
            ]
            if all(state and (state.is_final() or state.name == "NotReady") for state in states):
                return
            time.sleep(0.1)
