"""The gate's verdict as a Prefect task: the policy is pipeline/policies/gate.py, the limits are in params.yaml."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.params import Gate
from pipeline.core.stage import Paths, read_json
from pipeline.policies import gate as policy


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, persist_result=False)
def decide_gate(root: Path, limits: Gate) -> State:
    """Hold what was measured of test rows, groups and swapped terms against the limits; all but a pass is a failure."""
    paths = Paths(root)
    evaluated, groups, swapped = (
        read_json(paths.data(stage) / "metrics.json") for stage in ("evaluate", "fairness", "counterfactual")
    )
    verdict = policy.decide(evaluated, groups, limits, swapped)
    if verdict.status == "pass":
        return Completed(name="Pass", message="every limit is kept", data=verdict)
    return Failed(name=verdict.status.capitalize(), message="; ".join(verdict.reasons), data=verdict)
