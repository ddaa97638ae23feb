"""MLflow's store: its address, a client of it, and the form of names and numbers in it."""

import getpass
import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from pipeline.core.errors import UserError
from pipeline.core.secrets import without_credentials
from tasks.registry import project_store
from tasks.registry.project_store import is_in_project, store_uri

PAUSES = (0.05, 0.1, 0.2, 0.5, 1, 2, 4)  # seconds between attempts to write while others write, too
MLFLOW_CREDENTIALS, MLFLOW_STORE = "GLEANER_MLFLOW_AUTH", "GLEANER_MLFLOW_STORE"  # variables of guarded_mlflow.py
T = TypeVar("T")


def connect(root: Path) -> MlflowClient:
    """A client of the project's MLflow store. Creates the store if there is none.

    Call it once before threads open the database: two that create it at the same time break it. Raises UserError if the
    store in the project is lost, damaged or cannot be written.
    """
    if not is_in_project(root):
        return open_client(root)
    with project_store.opening(root):
        return open_client(root)


def open_client(root: Path) -> MlflowClient:
    """A client of the store, whose tables MLflow makes if it is an empty database."""
    set_by_user = "MLFLOW_TRACKING_URI" in os.environ
    mlflow.set_tracking_uri(store_uri(root))
    if not set_by_user:  # MLflow sets it, and from then on it would pass for the user's choice
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    # MLflow keeps the places of artifacts by the id of the run alone, and a copied project has runs of the same ids.
    _artifact_repos_cache.clear()
    client = MlflowClient()
    client.search_experiments(max_results=1)
    return client


def experiment_id(client: MlflowClient, root: Path, name: str) -> str:
    """The id of an experiment. Creates it on first use; mlflow.db in the project keeps its artifacts in mlruns.

    Raises UserError where somebody has deleted it, or if its name leads out of that folder.
    """
    in_project = is_in_project(root)
    location = project_store.artifact_folder(root, name).as_uri() if in_project else None
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        if in_project:
            project_store.make_artifacts_folder(root)
        try:
            client.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process made it in the meantime
                raise
        if in_project:
            project_store.write_marker(root)
        return experiment_id(client, root, name)
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"registry.experiment: expected an experiment in use, found {name} deleted; "
            f"`MLFLOW_TRACKING_URI={without_credentials(store_uri(root))} mlflow experiments restore --experiment-id "
            f"{experiment.experiment_id}`, or name another one"
        )
    return experiment.experiment_id


def retry_while_busy(write: Callable[[], T]) -> T:
    """Call ``write`` and return its result. Try again while the store is locked or has too many writers."""
    for pause in PAUSES:
        try:
            return write()
        except MlflowException as error:
            if not is_busy(error):
                raise
        time.sleep(pause)
    return write()


def is_busy(error: MlflowException) -> bool:
    """Whether the store refused only because others write, too."""
    message = str(error).lower()
    return error.error_code == "TEMPORARILY_UNAVAILABLE" or any(
        sign in message for sign in ("database is locked", "giving up after", "deadlock", "could not serialize")
    )


def flatten(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys. Other values stay as they are, and so does an empty mapping."""
    if not isinstance(content, dict) or not content:
        return {prefix.removesuffix("."): content}
    return {key: value for part, inner in content.items() for key, value in flatten(inner, f"{prefix}{part}.").items()}


def is_number(value: Any) -> bool:
    """Whether a value is a number. True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_mlflow_name(key: str) -> str:
    """A key in the characters and the length that MLflow accepts. Labels of classes and groups may hold any others."""
    return re.sub(r"[^\w./ -]", "_", key)[:250]


def set_version_tags(client: MlflowClient, model: str, number: str, tags: dict[str, str]) -> None:
    """Set tags of a version, over those of the same name. Waits while the store is busy."""
    for key, value in tags.items():
        retry_while_busy(partial(client.set_model_version_tag, model, number, key, value))


def user_name() -> str:
    """The name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "unknown"
