"""Registers model versions with their lineage, one for each dvc.lock."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State

from pipeline.core.code_archive import pack_code
from pipeline.core.errors import UserError
from pipeline.core.file_permissions import wanted_umask
from pipeline.core.installed import CODE_FOLDER, read_pin
from pipeline.core.params import Params, Promotion
from pipeline.core.params import Registry as Settings
from pipeline.core.stage import Paths
from pipeline.policies.limit_changes import changes_from_json, changes_to_json
from tasks.git import patch
from tasks.git.lineage import lineage_tags
from tasks.git.project_state import ProjectState, require_unchanged
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, champion_alias, lookup
from tasks.registry.environment import describe_environment
from tasks.registry.limit_history import limit_changes
from tasks.registry.registration import Registration
from tasks.registry.runs import Run
from tasks.registry.shared_files import find_twins, share
from tasks.registry.store import set_version_tags
from tasks.registry.version_tags import COMPLETE, DVC_LOCK, LIMIT_CHANGES, NO, RETIRED, YES

# What loading and serving a version imports. The pins come from constraints.txt.
SERVING_PACKAGES = (
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pandas",
    "pydantic",
    "ruamel.yaml",
    "safetensors",
    "tokenizers",
    "tqdm",
)
INPUT_EXAMPLE = pd.DataFrame({"text": ["This is an example."]})
SIGNATURE = ModelSignature(
    Schema([ColSpec(DataType.string, "text")]),
    Schema(
        [
            ColSpec(DataType.string, "label", required=False),  # null: the version abstains
            ColSpec(DataType.double, "confidence"),
            ColSpec(DataType.string, "reason", required=False),
            ColSpec(DataType.string, "version", required=False),
        ]
    ),
)


@task(name="register", task_run_name="register", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def register(root: Path, params: Params, opened: Run, start: ProjectState, stages: list[str]) -> State:
    """Register the exported bundle, unless there is a version of the same dvc.lock.

    ``start`` is the state that the training of these ``stages`` began with. Nothing is registered if it has changed.
    """
    require_unchanged(root, start, stages)
    version = register_or_reuse(root, params, opened)
    label = "Completed" if version.is_new else "Cached"
    return Completed(name=label, message=f"{version.model} version {version.number}", data=version)


def is_push_failure(_task: Any, _run: Any, state: State) -> bool:
    """Whether the data could not be pushed, so that trying again may help."""
    return (state.message or "").startswith("error: registry.push: ")


def register_or_reuse(root: Path, params: Params, opened: Run) -> Registration:
    """The version of the working tree's dvc.lock; registered with its lineage if there is none yet.

    A version whose registration was cut off is finished. One process registers at a time, so that two never make or
    finish the same version. The data is pushed before the version exists, so that whatever is registered can be
    rebuilt. Raises UserError if the push fails, or if ``registry.require_clean`` is set and the working tree differs
    from its commit.
    """
    client, model, tags = opened.client, params.registry.model, lineage_tags(root, params)
    opened.set_tags(tags)
    flow_run = client.get_run(opened.id).data.tags["gleaner.flow_run"]
    with registration_lock(root):
        finish_registrations(client, model, params.promotion)
        same = find_same_lock(client, model, tags[DVC_LOCK])
        number = (
            str(same.version) if same else register_new(root, params, opened, tags | {"gleaner.flow_run": flow_run})
        )
        finish_registration(client, model, number, flow_run, params.promotion)
        if same is None:
            share(find_twins(root, model))
    changes = changes_from_json(client.get_model_version(model, number).tags.get(LIMIT_CHANGES, "[]"))
    return Registration(model, number, aliases_of(client, model, number), same is None, tuple(changes))


@contextmanager
def registration_lock(root: Path) -> Iterator[None]:
    """Hold the project's lock of the registry for the block, after other processes have freed it.

    A killed process frees it.
    """
    path = Paths(root).scratch("registry") / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path, fallback_to_soft=False):
        yield


def find_same_lock(client: MlflowClient, model: str, digest: str) -> ModelVersion | None:
    """The version of the dvc.lock with this digest; None if there is none."""
    versions = client.search_model_versions(f"name = '{model}'")
    return next((version for version in versions if version.tags.get(DVC_LOCK) == digest), None)


def register_new(root: Path, params: Params, opened: Run, tags: dict[str, str]) -> str:
    """Store the lineage, push the data, store the bundle, and return the number of the version, which is incomplete."""
    if params.registry.require_clean:
        patch.require_clean(root, params)
    # A push takes minutes, so what is recorded of the project is read before it, right after it was checked.
    code = pack_code() if read_pin(root) else None
    opened.log_lineage(patch.find_changes(root, params), describe_environment(root), code)
    digest_tag = {bundles.MANIFEST_DIGEST_TAG: bundles.manifest_digest(root / "data" / "export" / "bundle")}
    if params.registry.push:
        push_data(root)
    changes = {LIMIT_CHANGES: changes_to_json(limit_changes(root, params, opened))}
    return create_version(root, params.registry, opened, {**tags, **digest_tag, **changes, COMPLETE: NO})


def create_version(root: Path, settings: Settings, opened: Run, tags: dict[str, str]) -> str:
    """Store the bundle with the code that serves it as a model version, and return the version's number."""
    code = CODE_FOLDER if read_pin(root) else root
    with active_run(opened):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).parent / "served_model.py"),
            artifacts={"bundle": str(root / "data" / "export" / "bundle")},
            code_paths=[str(code / "pipeline")],
            pip_requirements=serving_requirements(root / "constraints.txt"),
            signature=SIGNATURE,
            input_example=INPUT_EXAMPLE,
        )
    return str(mlflow.register_model(info.model_uri, settings.model, tags=tags).version)


@contextmanager
def active_run(opened: Run) -> Iterator[None]:
    """Make a run MLflow's active run for the block, and leave it open. MLflow's own block would mark it as FINISHED."""
    mlflow.start_run(run_id=opened.id)
    try:
        yield
    finally:
        mlflow.end_run("RUNNING")


def finish_registrations(client: MlflowClient, model: str, settings: Promotion) -> None:
    """Finish all versions whose registration was cut off, oldest first, but for those that were retired meanwhile.

    It does no harm if their process is alive.
    """
    versions = client.search_model_versions(f"name = '{model}'")
    for version in sorted(versions, key=lambda version: int(version.version)):
        if version.tags.get(COMPLETE) == NO and RETIRED not in version.tags:
            flow_run = version.tags.get("gleaner.flow_run", "")
            finish_registration(client, model, str(version.version), flow_run, settings)


def finish_registration(client: MlflowClient, model: str, number: str, flow_run: str, settings: Promotion) -> None:
    """Make an incomplete version challenger, and mark it as complete; any version becomes champion if there is none.

    A newer challenger stays. A version from before the tag `COMPLETE` is taken for complete. Raises UserError if there
    is no champion and the version was retired.
    """
    tags = client.get_model_version(model, number).tags
    is_incomplete = tags.get(COMPLETE) == NO
    if is_incomplete and RETIRED not in tags:
        challenger = lookup.version_at_alias(client, model, "challenger")
        if challenger is None or int(challenger) < int(number):
            client.set_registered_model_alias(model, "challenger", number)
    champion_alias.enter_first_champion(client, model, number, flow_run, settings)
    if is_incomplete:
        set_version_tags(client, model, number, {COMPLETE: YES})


def push_data(root: Path) -> None:
    """Copy the data of this version to the default DVC remote. Raises UserError if that fails.

    It runs `dvc push`, because the command reports in one line what any kind of remote may raise.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "push"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, umask=wanted_umask())
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
