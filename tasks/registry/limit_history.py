"""The limits of gate and promotion, as the runs of trainings recorded them, compared from one training to the next."""

from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run as MlflowRun
from mlflow.utils.mlflow_tags import MLFLOW_USER

from pipeline.core.params import Params
from pipeline.policies.limit_changes import LimitChange, LimitsOfTraining, find_limit_changes
from tasks.registry.runs import GATE_TAG, Run, search_runs

MOST_CHANGES = 15  # in a tag; later ones count more


def limit_changes(root: Path, params: Params, opened: Run) -> list[LimitChange]:
    """The limits that were changed since the training of the newest version, up to the open run; oldest first.

    Trainings that the gate refused count: who loosens a limit after a refusal is seen by the version that then passes.
    """
    client = opened.client
    versions = client.search_model_versions(f"name = '{params.registry.model}'")
    newest = max(versions, key=lambda version: int(version.version), default=None)
    began = client.get_run(opened.id).info.start_time
    judged = []
    for run in search_runs(client, root, params):
        if GATE_TAG in run.data.tags and run.info.start_time <= began:
            judged.append(limits_of_training(run))
        if newest is not None and run.info.run_id == newest.run_id:
            break
    return find_limit_changes(judged[::-1])[-MOST_CHANGES:]


def limits_of_training(run: MlflowRun) -> LimitsOfTraining:
    """What a run recorded of its limits."""
    at = datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds")
    by = run.data.tags.get(MLFLOW_USER, "unknown")
    return LimitsOfTraining(run.info.run_id, at, by, run.data.tags[GATE_TAG], run.data.params)
