"""MLflow: the run that records what a training measured, and the model versions made of it.

The only file that talks to MLflow's stores; tasks/serving.py is loaded by MLflow itself.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, Failed, State

from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.params import Registry as Settings
from tasks.curves import Point
from tasks.lineage import lineage

BATCH = 100  # params or metrics in one call; MLflow takes no more params
RECORDED = ("params.yaml", "dvc.yaml", "dvc.lock", "data/report/report.html", "data/report/MODEL_CARD.md")
# What loading and serving a version imports; the pins come from constraints.txt.
SERVING = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic", "ruamel.yaml", "tokenizers", "tqdm")
EXAMPLE = pd.DataFrame({"text": ["This is an example."]})
SIGNATURE = ModelSignature(
    Schema([ColSpec(DataType.string, "text")]),
    Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "confidence")]),
)


@dataclass(frozen=True)
class Version:
    """A registered model version."""

    model: str
    number: str
    aliases: tuple[str, ...]
    fresh: bool  # False when the same dvc.lock had been registered before


def connect(root: Path) -> MlflowClient:
    """A client of MLflow's store, which is made if need be.

    Called once before anything opens the database in parallel: two that create it together break it.
    """
    mlflow.set_tracking_uri(store(root))
    client = MlflowClient()
    client.search_experiments(max_results=1)
    return client


def store(root: Path) -> str:
    """Where runs and versions are kept: MLFLOW_TRACKING_URI, or mlflow.db in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"


def experiment(client: MlflowClient, root: Path, name: str) -> str:
    """The id of the experiment, made on first use; a project's own store keeps its artifacts in mlruns."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    own = "MLFLOW_TRACKING_URI" not in os.environ
    return client.create_experiment(name, artifact_location=(root / "mlruns" / name).as_uri() if own else None)


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


@task(name="register", task_run_name="register", cache_policy=NO_CACHE, persist_result=False)
def register(root: Path, params: Params, opened: Run) -> State:
    """Register the exported bundle, unless a version of the same dvc.lock is there already."""
    try:
        version = version_of(root, params, opened)
    except UserError as error:
        return Failed(message=f"error: {error}")
    label = "Completed" if version.fresh else "Cached"
    return Completed(name=label, message=f"{version.model} version {version.number}", data=version)


def version_of(root: Path, params: Params, opened: Run) -> Version:
    """The version that holds what stands in the working tree now, registered with its lineage if there is none.

    The data is pushed first: whatever is registered can be rebuilt. Raises UserError when the push fails.
    """
    client, model, tags = opened.client, params.registry.model, lineage(root, params)
    opened.tag(tags)
    known = client.search_model_versions(f"name = '{model}'")
    same = next((old for old in known if old.tags.get("gleaner.dvc_lock") == tags["gleaner.dvc_lock"]), None)
    if same is not None:
        return Version(model, str(same.version), aliases(client, model, str(same.version)), fresh=False)
    if params.registry.push:
        push(root)
    number = create(root, params.registry, opened, tags)
    client.set_registered_model_alias(model, "challenger", number)
    if "champion" not in client.get_registered_model(model).aliases:
        client.set_registered_model_alias(model, "champion", number)
    return Version(model, number, aliases(client, model, number), fresh=True)


def create(root: Path, settings: Settings, opened: Run, tags: dict[str, str]) -> str:
    """Store the bundle with the code that serves it as a model version; returns the version's number."""
    with mlflow.start_run(run_id=opened.id):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("serving.py")),
            artifacts={"bundle": str(root / "data" / "export" / "bundle")},
            code_paths=[str(root / "pipeline")],
            pip_requirements=pins(root / "constraints.txt"),
            signature=SIGNATURE,
            input_example=EXAMPLE,
        )
    flow_run = opened.client.get_run(opened.id).data.tags["gleaner.flow_run"]
    return str(
        mlflow.register_model(info.model_uri, settings.model, tags={**tags, "gleaner.flow_run": flow_run}).version
    )


def push(root: Path) -> None:
    """Copy the data of this version to the default DVC remote; UserError when that fails.

    Through DVC's command, which tells what any kind of remote may raise in one line.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", "push"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        faults = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise UserError(
            "registry.push: expected to push the data to the default DVC remote, found: "
            f"{(faults or [done.stderr.strip()])[0]}; nothing is registered: mend the remote (`dvc remote list`) "
            "and run again, or set registry.push: false"
        )


def pins(constraints: Path) -> list[str]:
    """What serving needs, at the versions that it was tested with."""
    pinned = {
        line.split("==")[0].lower(): line.strip() for line in constraints.read_text().splitlines() if "==" in line
    }
    return [pinned[package] for package in SERVING]


def aliases(client: MlflowClient, model: str, number: str) -> tuple[str, ...]:
    """The aliases of one version; only the model itself knows them."""
    known = client.get_registered_model(model).aliases
    return tuple(sorted(alias for alias, version in known.items() if str(version) == number))


def flatten(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted keys; what is no mapping stays as it is, and so does an empty one."""
    if not isinstance(content, dict) or not content:
        return {prefix.removesuffix("."): content}
    return {key: value for part, inner in content.items() for key, value in flatten(inner, f"{prefix}{part}.").items()}


def is_number(value: Any) -> bool:
    """A number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def name(key: str) -> str:
    """A key as MLflow accepts it: labels of classes and groups may hold anything."""
    return re.sub(r"[^\w./ -]", "_", key)[:250]
