"""The gate's verdict on the metrics that the stages wrote. It needs no Prefect."""

from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import Gate
from pipeline.core.stage import Metrics, Paths, read_json
from pipeline.policies import gate as policy


def read_verdict(root: Path, limits: Gate) -> policy.GateVerdict:
    """The verdict on the model in the project. Raises UserError if a file of metrics is missing or holds none."""
    evaluated, fairness, counterfactual = (
        read_metrics(Paths(root).data(stage) / "metrics.json") for stage in ("evaluate", "fairness", "counterfactual")
    )
    return policy.decide_registration(evaluated, fairness, limits, counterfactual)


def read_metrics(path: Path) -> Metrics:
    """The metrics of a stage. Raises UserError if the file is missing or does not hold metrics."""
    try:
        metrics = read_json(path)
    except ValueError:
        metrics = None
    if not isinstance(metrics, dict):
        raise UserError(f"{path}: expected metrics in JSON, found none; remove the file and run again")
    return metrics
