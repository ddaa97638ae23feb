"""The gate as a Prefect task. The decision is in pipeline/policies/gate.py, the limits are in params.yaml."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import Gate
from pipeline.core.stage import Metrics, Paths, read_json
from pipeline.policies import gate as policy
from tasks.prefect_states.user_error import as_failed_state


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def decide_gate(root: Path, limits: Gate) -> State:
    """Compare the metrics of test rows, groups and swapped terms with the limits; every verdict but a pass fails."""
    evaluated, fairness, counterfactual = (
        read_metrics(Paths(root).data(stage) / "metrics.json") for stage in ("evaluate", "fairness", "counterfactual")
    )
    verdict = policy.decide_registration(evaluated, fairness, limits, counterfactual)
    if verdict.status == "pass":
        return Completed(name="Pass", message="every limit is kept", data=verdict)
    return Failed(name=verdict.status.capitalize(), message="; ".join(verdict.reasons), data=verdict)


def read_metrics(path: Path) -> Metrics:
    """The metrics of a stage. Raises UserError if the file is missing or does not hold metrics."""
    try:
        metrics = read_json(path)
    except ValueError:
        metrics = None
    if not isinstance(metrics, dict):
        raise UserError(f"{path}: expected metrics in JSON, found none; remove the file and run again")
    return metrics
