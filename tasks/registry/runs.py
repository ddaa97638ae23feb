"""The MLflow run that records what a training measured."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE, MLFLOW_USER
from prefect.exceptions import TerminationSignal

from pipeline.core.params import Params
from pipeline.policies.gate import GateVerdict
from tasks.git.patch import Changes
from tasks.processes.curves import Point
from tasks.registry.store import connect, experiment_id, flatten, is_number, to_mlflow_name, user_name

BATCH_SIZE = 100  # params or metrics in one call; MLflow accepts no more params
MAX_TAG_LENGTH = 4000  # characters; below the limit of any MLflow server
RECORDED_FILES = ("params.yaml", "dvc.yaml", "dvc.lock", "data/report/shared.html", "data/report/MODEL_CARD.md")
REPORT_ARTIFACT = "shared.html"
GATE_TAG = "gleaner.gate"
GATE_ARTIFACT = "gate.json"
ABOUT_ARTIFACT = "lineage/about.json"
PATCH_ARTIFACT = "lineage/changes.patch"
CODE_ARTIFACT = "lineage/code.zip"  # of a project that holds no code itself


@dataclass
class Run:
    """One open MLflow run. Several threads may log to it."""

    client: MlflowClient
    id: str
    failed: bool = False  # set this if the work ends without an error to raise and without a version

    def log_curve(self, stage: str, points: list[Point]) -> None:
        """Log points of a training curve as metrics ``<stage>/<key>`` by step."""
        now = int(time.time() * 1000)
        self.log_in_batches(
            Metric(f"{stage}/{to_mlflow_name(key)}", float(value), now, int(point["step"]))
            for point in points
            for key, value in point.items()
            if key != "step" and is_number(value)
        )

    def log_results(self, root: Path) -> None:
        """Log every number in ``data/<stage>/metrics.json`` as ``<stage>.<key>``, and store `RECORDED_FILES`."""
        for path in sorted(root.glob("data/*/metrics.json")):
            content = flatten(json.loads(path.read_text()), f"{path.parent.name}.")
            self.log_metrics({key: value for key, value in content.items() if is_number(value)})
        for path in map(root.joinpath, RECORDED_FILES):
            if path.exists():  # a failed stage leaves no report
                self.client.log_artifact(self.id, str(path))

    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Log numbers by name."""
        now = int(time.time() * 1000)
        self.log_in_batches(Metric(to_mlflow_name(key), float(value), now, 0) for key, value in metrics.items())

    def log_params(self, params: Params) -> None:
        """Log every value of params.yaml by its dotted key."""
        flat = flatten(params.model_dump(mode="json"))
        entries = [
            Param(to_mlflow_name(key), value if isinstance(value, str) else json.dumps(value))
            for key, value in flat.items()
        ]
        for start in range(0, len(entries), BATCH_SIZE):
            self.client.log_batch(self.id, params=entries[start : start + BATCH_SIZE])

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags of the run."""
        for key, value in tags.items():
            self.client.set_tag(self.id, key, value)

    def log_verdict(self, verdict: GateVerdict) -> None:
        """Record the gate's verdict: its status as a tag, its reasons as a file, a refusal also as a description."""
        self.set_tags({GATE_TAG: verdict.status})
        if verdict.status != "pass":
            decisive = [f"- {reason}" for reason in verdict.reasons if reason.startswith(f"{verdict.status}: ")]
            description = "\n".join([f"Not registered. The gate says {verdict.status}:", *decisive])
            self.set_tags({MLFLOW_RUN_NOTE: description[:MAX_TAG_LENGTH]})
        self.client.log_dict(self.id, {"status": verdict.status, "reasons": list(verdict.reasons)}, GATE_ARTIFACT)

    def log_lineage(self, changes: Changes, environment: dict[str, Any], code: bytes | None) -> None:
        """Record what the commit and dvc.lock lack: the patch of a tree that differs, the machine, and the code.

        ``code`` is the archive of the stages' code; None where the commit holds it.
        """
        about = {"changed": changes.files, "left_out": changes.left_out, "environment": environment}
        self.client.log_dict(self.id, about, ABOUT_ARTIFACT)
        if changes.patch:
            self.log_bytes(changes.patch, PATCH_ARTIFACT)
        if code is not None:
            self.log_bytes(code, CODE_ARTIFACT)

    def log_bytes(self, content: bytes, artifact: str) -> None:
        """Store a file of this content at a path among the artifacts."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / Path(artifact).name
            file.write_bytes(content)
            self.client.log_artifact(self.id, str(file), str(Path(artifact).parent))

    def log_in_batches(self, metrics: Iterator[Metric]) -> None:
        """Log metrics, at most `BATCH_SIZE` in a call."""
        entries = list(metrics)
        for start in range(0, len(entries), BATCH_SIZE):
            self.client.log_batch(self.id, metrics=entries[start : start + BATCH_SIZE])


@contextmanager
def open_run(root: Path, params: Params, name: str, flow_run: str) -> Iterator[Run]:
    """An MLflow run for the block: FINISHED at its end, FAILED after an error or without a version of its own, KILLED
    after an interruption. A green tick would make people take a run that the gate refused for a good one.

    ``name`` is the name of the Prefect flow run, and ``flow_run`` its id, which becomes a tag.
    """

    client = connect(root)
    experiment = experiment_id(client, root, params.registry.experiment)
    tags = {"gleaner.flow_run": flow_run, MLFLOW_USER: user_name()}
    created = client.create_run(experiment, run_name=name, tags=tags)
    opened = Run(client, created.info.run_id)
    status = "FAILED"
    try:
        opened.log_params(params)
        yield opened
        status = "FAILED" if opened.failed else "FINISHED"
    except (KeyboardInterrupt, SystemExit, TerminationSignal):
        status = "KILLED"
        raise
    finally:
        client.set_terminated(opened.id, status)


def search_runs(client: MlflowClient, root: Path, params: Params, filter_string: str = "") -> Iterator[MlflowRun]:
    """All runs of the project's experiment that match the filter, newest first."""
    experiment, token = experiment_id(client, root, params.registry.experiment), None
    while True:
        page = client.search_runs(
            [experiment], filter_string, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def store_verdict(client: MlflowClient, run: str, content: dict[str, Any], *paths: str) -> None:
    """Store a promotion verdict among the artifacts of the run that made the challenger."""
    for path in paths:
        client.log_text(run, json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def load_verdict(client: MlflowClient, run: str, path: str) -> Any:
    """The content of a stored promotion verdict."""
    with TemporaryDirectory() as folder:
        return json.loads(Path(client.download_artifacts(run, path, folder)).read_text())


def find_verdict(client: MlflowClient, run: str, path: str) -> Any:
    """The content of a stored promotion verdict; None if the run is gone, or no JSON is stored there."""
    try:
        return load_verdict(client, run, path)
    except (MlflowException, OSError, ValueError):
        return None
