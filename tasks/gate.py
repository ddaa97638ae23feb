"""The gate as a Prefect task. The decision is in pipeline/policies/gate.py, the limits are in params.yaml."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.params import Gate
from tasks.gate_verdict import read_verdict
from tasks.prefect_states.user_error import as_failed_state


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def decide_gate(root: Path, limits: Gate) -> State:
    """Compare the metrics of test rows, groups and swapped terms with the limits; every verdict but a pass fails."""
    verdict = read_verdict(root, limits)
    if verdict.status == "pass":
        return Completed(name="Pass", message="every limit is kept", data=verdict)
    return Failed(name=verdict.status.capitalize(), message="; ".join(verdict.reasons), data=verdict)
