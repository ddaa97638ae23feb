"""What `gleaner run` does: the training flow on a server that is there or is started, a summary, an exit code."""

import logging
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows import summary
from flows.server import interruptible, server
from pipeline.errors import UserError
from pipeline.params import load

if TYPE_CHECKING:
    from flows.train import Training

SETTLE = 15.0  # seconds for the server to store the last states


def main(root: Path) -> int:
    """Train, judge and register; 0 when registered, 1 when refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""
    try:
        load(root / "params.yaml")
        with interruptible(), server(root) as ready:
            training = run(root, ready)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; `gleaner run` goes on from here", file=sys.stderr)
        return 130
    summary.show(root, training)
    return training.exit_code


def run(root: Path, ready: Callable[[], None]) -> "Training":
    """Run the flow once the server is ready, and leave when everything about it is stored.

    Prefect reads its settings when it is imported, hence the imports here; the server starts in the meantime.
    """
    from prefect.exceptions import TerminationSignal

    from flows.train import train
    from tasks import registry, stage

    logging.getLogger("prefect.task_runs").addFilter(said_once)
    stage.graph(root)
    registry.connect(root)
    ready()
    name = f"train {datetime.now():%Y-%m-%d %H:%M:%S}"
    try:
        return stage.value(train.with_options(flow_run_name=name)(root, return_state=True))
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
