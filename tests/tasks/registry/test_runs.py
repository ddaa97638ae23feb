"""MLflow runs: the params, metrics, curves and files that they hold, and how they end, in a real store."""

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from prefect.exceptions import TerminationSignal

from pipeline.core.params import Params
from tasks import registry


def status(run: registry.Run) -> str:
    return str(run.client.get_run(run.id).info.status)


def test_a_run_holds_every_param_by_its_dotted_key(opened: registry.Run, params: Callable[..., Params]) -> None:
    logged = opened.client.get_run(opened.id).data.params
    assert logged["finetune.lr"] == "2e-05" and logged["ingest.columns.text"] == '["text"]'
    assert logged["ingest.labels.rename"] == "{}" and logged["encoder.source"] == "path"
    assert len(logged) == len(registry.flatten(params().model_dump())) > registry.BATCH_SIZE


def test_a_run_holds_every_number_of_every_stage_and_the_recorded_files(project: Path, opened: registry.Run) -> None:
    opened.log_results(project)
    assert opened.client.get_run(opened.id).data.metrics == {
        "evaluate.accuracy": 0.5,
        "evaluate.class.what_s up_.f1": 1,
    }
    artifacts = {artifact.path for artifact in opened.client.list_artifacts(opened.id)}
    assert artifacts == {"params.yaml", "dvc.yaml", "dvc.lock"}


def test_a_curve_is_a_metric_by_step(opened: registry.Run) -> None:
    opened.log_curve("finetune", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "eval_loss": math.pi}])
    history = opened.client.get_metric_history(opened.id, "finetune/loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]


@pytest.mark.parametrize(
    ("error", "ended"),
    [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (TerminationSignal, "KILLED")],
)
def test_a_run_ends_as_its_block_does(project: Path, local: Params, error: Any, ended: str) -> None:
    try:
        with registry.open_run(project, local, "a run", "flow-1") as run:
            assert status(run) == "RUNNING"
            if error:
                raise error(signal.SIGTERM) if error is TerminationSignal else error
    except (ValueError, KeyboardInterrupt, TerminationSignal):
        pass
    assert status(run) == ended


def test_a_run_whose_stage_failed_is_a_failed_one(project: Path, local: Params) -> None:
    with registry.open_run(project, local, "a run", "flow-1") as run:
        run.failed = True
    assert status(run) == "FAILED"


def test_the_client_creates_the_store_in_the_project(project: Path) -> None:
    assert isinstance(registry.connect(project), MlflowClient)
    assert (project / "mlflow.db").exists()
