"""Model versions: registered with their lineage, once for each dvc.lock."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.params import Registry as Settings
from tasks.git import patch
from tasks.git.lineage import lineage
from tasks.registry import bundles, promotion_log
from tasks.registry.environment import environment
from tasks.registry.runs import Run

# What loading and serving a version imports; the pins come from constraints.txt.
SERVING = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic", "ruamel.yaml", "tokenizers", "tqdm")
EXAMPLE = pd.DataFrame({"text": ["This is an example."]})
SIGNATURE = ModelSignature(
    Schema([ColSpec(DataType.string, "text")]),
    Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "confidence")]),
)


@dataclass(frozen=True)
class Version:
    """The version that registering came to."""

    model: str
    number: str
    aliases: tuple[str, ...]
    fresh: bool  # False when the same dvc.lock had been registered before


@task(name="register", task_run_name="register", cache_policy=NO_CACHE, persist_result=False)
def register(root: Path, params: Params, opened: Run) -> State:
    """Register the exported bundle, unless a version of the same dvc.lock is there already."""
    try:
        version = version_of(root, params, opened)
    except UserError as error:
        return Failed(message=f"error: {error}")
    label = "Completed" if version.fresh else "Cached"
    return Completed(name=label, message=f"{version.model} version {version.number}", data=version)


def is_passing(_task: Any, _run: Any, state: State) -> bool:
    """Whether trying again may help: where the data could not be pushed."""
    return (state.message or "").startswith("error: registry.push: ")


def version_of(root: Path, params: Params, opened: Run) -> Version:
    """The version that holds what stands in the working tree now, registered with its lineage if there is none.

    The data is pushed first: whatever is registered can be rebuilt. Raises UserError when the push fails, or when the
    tree is not as it was committed and ``registry.require_clean`` is set.
    """
    client, model, tags = opened.client, params.registry.model, lineage(root, params)
    opened.tag(tags)
    flow_run = client.get_run(opened.id).data.tags["gleaner.flow_run"]
    known = client.search_model_versions(f"name = '{model}'")
    same = next((old for old in known if old.tags.get("gleaner.dvc_lock") == tags["gleaner.dvc_lock"]), None)
    if same is not None:
        promotion_log.begin(client, model, str(same.version), flow_run)
        return Version(model, str(same.version), aliases(client, model, str(same.version)), fresh=False)
    if params.registry.require_clean:
        patch.require_clean(root, params)
    if params.registry.push:
        push(root)
    opened.lineage(patch.changes(root, params), environment(root))
    seal = {bundles.SEAL: bundles.seal_of(root / "data" / "export" / "bundle")}
    number = create(root, params.registry, opened, {**tags, **seal, "gleaner.flow_run": flow_run})
    client.set_registered_model_alias(model, "challenger", number)
    promotion_log.begin(client, model, number, flow_run)
    return Version(model, number, aliases(client, model, number), fresh=True)


def create(root: Path, settings: Settings, opened: Run, tags: dict[str, str]) -> str:
    """Store the bundle with the code that serves it as a model version; returns the version's number."""
    with mlflow.start_run(run_id=opened.id):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).parent / "served_model.py"),
            artifacts={"bundle": str(root / "data" / "export" / "bundle")},
            code_paths=[str(root / "pipeline")],
            pip_requirements=pins(root / "constraints.txt"),
            signature=SIGNATURE,
            input_example=EXAMPLE,
        )
    return str(mlflow.register_model(info.model_uri, settings.model, tags=tags).version)


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
