"""Nights that died with their machine: Prefect still counts them as running, and cancels every later night.

The deployment allows one run at a time, and a run holds a lease on the one slot. Prefect frees the slot of a run
whose process stops renewing its lease. When its server restarts, Prefect forgets the lease, and the slot stays taken.
While the server runs, it marks such nights by itself: see `flows.automations`.
"""

from pathlib import Path
from typing import Any

from flows.night_lock import is_night_running


def mark_crashed_runs(root: Path, deployments: list[str]) -> int:
    """Mark the runs of these deployments as crashed where no night is running; returns how many there were.

    Call it before a worker is started: a run takes the project's lock only some time after its worker has begun it.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    if is_night_running(root):
        return 0
    unfinished: Any = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    by_state = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=unfinished))
    )
    by_deployment = filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=deployments))
    crashed: Any = Crashed(message="its machine, worker or server went down in the middle")
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=by_state, deployment_filter=by_deployment)
        for run in runs:
            client.set_flow_run_state(run.id, crashed)
    return len(runs)
