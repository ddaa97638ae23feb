"""Nights that died with their machine: their server still takes them for running, and they hold the one place.

Prefect frees the place of a run whose process stops renewing its lease, but not across a restart of its server: what
was leased is forgotten, the place stays taken, and every later night would be cancelled.
"""

from pathlib import Path
from typing import Any

from flows.night_lock import is_night_running


def mark_crashed_runs(root: Path, deployments: list[str]) -> int:
    """Mark as crashed the runs of these deployments that seem to be at work while none is; how many there were.

    Call it before a worker is started: a run that a worker has in hand holds the project's lock only a little later.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    if is_night_running(root):
        return 0
    busy: Any = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    state = filters.FlowRunFilter(state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=busy)))
    named = filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=deployments))
    dead: Any = Crashed(message="its machine, worker or server went down in the middle")
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=state, deployment_filter=named)
        for run in runs:
            client.set_flow_run_state(run.id, dead)
    return len(runs)
