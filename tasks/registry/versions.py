"""Registers model versions with their lineage, one for each dvc.lock."""

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
from tasks.git.lineage import lineage_tags
from tasks.registry import bundles, champion_alias
from tasks.registry.environment import describe_environment
from tasks.registry.runs import Run

# What loading and serving a version imports. The pins come from constraints.txt.
SERVING_PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic", "ruamel.yaml", "tokenizers", "tqdm")
INPUT_EXAMPLE = pd.DataFrame({"text": ["This is an example."]})
SIGNATURE = ModelSignature(
    Schema([ColSpec(DataType.string, "text")]),
    Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "confidence")]),
)


@dataclass(frozen=True)
class Registration:
    """The version that holds the bundle after registering."""

    model: str
    number: str
    aliases: tuple[str, ...]
    is_new: bool  # False if a version of the same dvc.lock was there already


@task(name="register", task_run_name="register", cache_policy=NO_CACHE, persist_result=False)
def register(root: Path, params: Params, opened: Run) -> State:
    """Register the exported bundle, unless there is a version of the same dvc.lock."""
    try:
        version = register_or_reuse(root, params, opened)
    except UserError as error:
        return Failed(message=f"error: {error}")
    label = "Completed" if version.is_new else "Cached"
    return Completed(name=label, message=f"{version.model} version {version.number}", data=version)


def is_push_failure(_task: Any, _run: Any, state: State) -> bool:
    """Whether the data could not be pushed, so that trying again may help."""
    return (state.message or "").startswith("error: registry.push: ")


def register_or_reuse(root: Path, params: Params, opened: Run) -> Registration:
    """The version of the working tree's dvc.lock; registered with its lineage if there is none yet.

    The data is pushed first, so that whatever is registered can be rebuilt. Raises UserError if the push fails, or if
    ``registry.require_clean`` is set and the working tree differs from its commit.
    """
    client, model, tags = opened.client, params.registry.model, lineage_tags(root, params)
    opened.set_tags(tags)
    flow_run = client.get_run(opened.id).data.tags["gleaner.flow_run"]
    versions = client.search_model_versions(f"name = '{model}'")
    same = next((old for old in versions if old.tags.get("gleaner.dvc_lock") == tags["gleaner.dvc_lock"]), None)
    if same is not None:
        champion_alias.enter_first_champion(client, model, str(same.version), flow_run, params.promotion)
        return Registration(model, str(same.version), aliases_of(client, model, str(same.version)), is_new=False)
    if params.registry.require_clean:
        patch.require_clean(root, params)
    if params.registry.push:
        push_data(root)
    opened.log_lineage(patch.find_changes(root, params), describe_environment(root))
    digest_tag = {bundles.MANIFEST_DIGEST_TAG: bundles.manifest_digest(root / "data" / "export" / "bundle")}
    number = create_version(root, params.registry, opened, {**tags, **digest_tag, "gleaner.flow_run": flow_run})
    client.set_registered_model_alias(model, "challenger", number)
    champion_alias.enter_first_champion(client, model, number, flow_run, params.promotion)
    return Registration(model, number, aliases_of(client, model, number), is_new=True)


def create_version(root: Path, settings: Settings, opened: Run, tags: dict[str, str]) -> str:
    """Store the bundle with the code that serves it as a model version, and return the version's number."""
    with mlflow.start_run(run_id=opened.id):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).parent / "served_model.py"),
            artifacts={"bundle": str(root / "data" / "export" / "bundle")},
            code_paths=[str(root / "pipeline")],
            pip_requirements=serving_requirements(root / "constraints.txt"),
            signature=SIGNATURE,
            input_example=INPUT_EXAMPLE,
        )
    return str(mlflow.register_model(info.model_uri, settings.model, tags=tags).version)


def push_data(root: Path) -> None:
    """Copy the data of this version to the default DVC remote. Raises UserError if that fails.

    It runs `dvc push`, because the command reports in one line what any kind of remote may raise.
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


def serving_requirements(constraints: Path) -> list[str]:
    """The packages that serving needs, at the versions that ``constraints`` pins."""
    pinned = {
        line.split("==")[0].lower(): line.strip() for line in constraints.read_text().splitlines() if "==" in line
    }
    return [pinned[package] for package in SERVING_PACKAGES]


def aliases_of(client: MlflowClient, model: str, number: str) -> tuple[str, ...]:
    """The aliases of one version. MLflow keeps them with the model."""
    version_by_alias = client.get_registered_model(model).aliases
    return tuple(sorted(alias for alias, version in version_by_alias.items() if str(version) == number))
