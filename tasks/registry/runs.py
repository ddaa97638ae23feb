"""The run that records what a training measured."""

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
from prefect.exceptions import TerminationSignal

from pipeline.core.params import Params
from pipeline.policies.gate import Verdict
from tasks.git.patch import Changes
from tasks.processes.curves import Point
from tasks.registry.store import connect, experiment, flatten, is_number, name

BATCH = 100  # params or metrics in one call; MLflow takes no more params
RECORDED = ("params.yaml", "dvc.yaml", "dvc.lock", "data/report/shared.html", "data/report/MODEL_CARD.md")
GATE = "gate.json"
ABOUT = "lineage/about.json"
PATCH = "lineage/changes.patch"


@dataclass
class Run:
    """One open MLflow run; safe to log to from several threads."""

    client: MlflowClient
    id: str
    failed: bool = False  # set it where the work ends early without an error to raise

    def curve(self, stage: str, points: list[Point]) -> None:
        """Points of a training curve, as metrics ``<stage>/<key>`` by step."""
        now = int(time.time() * 1000)
        self.log(
            Metric(f"{stage}/{name(key)}", float(value), now, int(point["step"]))
            for point in points
            for key, value in point.items()
            if key != "step" and is_number(value)
        )

    def results(self, root: Path) -> None:
        """Every number in ``data/<stage>/metrics.json`` as ``<stage>.<key>``, and the files that tell of the run."""
        now = int(time.time() * 1000)
        for path in sorted(root.glob("data/*/metrics.json")):
            found = flatten(json.loads(path.read_text()), f"{path.parent.name}.")
            self.log(Metric(name(key), float(value), now, 0) for key, value in found.items() if is_number(value))
        for path in map(root.joinpath, RECORDED):
            if path.exists():  # a failed stage leaves no report
                self.client.log_artifact(self.id, str(path))

    def measures(self, found: dict[str, float]) -> None:
        """Numbers by name."""
        now = int(time.time() * 1000)
        self.log(Metric(name(key), float(value), now, 0) for key, value in found.items())

    def params(self, params: Params) -> None:
        """Every value of params.yaml by its dotted key."""
        found = flatten(params.model_dump(mode="json"))
        entries = [
            Param(name(key), value if isinstance(value, str) else json.dumps(value)) for key, value in found.items()
        ]
        for start in range(0, len(entries), BATCH):
            self.client.log_batch(self.id, params=entries[start : start + BATCH])

    def tag(self, tags: dict[str, str]) -> None:
        """Tags of the run."""
        for key, value in tags.items():
            self.client.set_tag(self.id, key, value)

    def verdict(self, verdict: Verdict) -> None:
        """What the gate said, and why: the status as a tag, all reasons as a file."""
        self.tag({"gleaner.gate": verdict.status})
        self.client.log_dict(self.id, {"status": verdict.status, "reasons": list(verdict.reasons)}, GATE)

    def lineage(self, changes: Changes, environment: dict[str, Any]) -> None:
        """What commit and dvc.lock do not tell of a version: the patch of a tree that differs, and the machine."""
        about = {"changed": changes.files, "left_out": changes.left_out, "environment": environment}
        self.client.log_dict(self.id, about, ABOUT)
        if changes.patch:
            with TemporaryDirectory() as folder:
                file = Path(folder) / Path(PATCH).name
                file.write_bytes(changes.patch)
                self.client.log_artifact(self.id, str(file), str(Path(PATCH).parent))

    def log(self, metrics: Iterator[Metric]) -> None:
        """Metrics in batches."""
        entries = list(metrics)
        for start in range(0, len(entries), BATCH):
            self.client.log_batch(self.id, metrics=entries[start : start + BATCH])


@contextmanager
def run(root: Path, params: Params, name: str, flow_run: str) -> Iterator[Run]:
    """An MLflow run around the block, FINISHED at its end, FAILED after an error, KILLED after an interruption.

    It bears the name of the Prefect flow run, and that run's id as a tag.
    """
    client = connect(root)
    home = experiment(client, root, params.registry.experiment)
    opened = Run(client, client.create_run(home, run_name=name, tags={"gleaner.flow_run": flow_run}).info.run_id)
    status = "FAILED"
    try:
        opened.params(params)
        yield opened
        status = "FAILED" if opened.failed else "FINISHED"
    except (KeyboardInterrupt, SystemExit, TerminationSignal):
        status = "KILLED"
        raise
    finally:
        client.set_terminated(opened.id, status)


def store_verdict(client: MlflowClient, run: str, content: dict[str, Any], *paths: str) -> None:
    """Keep a verdict among the artifacts of the run that made the challenger."""
    for path in paths:
        client.log_text(run, json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def stored_verdict(client: MlflowClient, run: str, path: str) -> Any:
    """The content of a verdict that was kept."""
    with TemporaryDirectory() as folder:
        return json.loads(Path(client.download_artifacts(run, path, folder)).read_text())
