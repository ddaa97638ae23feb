"""Where runs and versions are kept, and how names and numbers get in there."""

import os
import re
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient


def connect(root: Path) -> MlflowClient:
    """A client of MLflow's store, which is made if need be.

    Called once before anything opens the database in parallel: two that create it together break it.
    """
    chosen = "MLFLOW_TRACKING_URI" in os.environ
    mlflow.set_tracking_uri(store(root))
    if not chosen:  # MLflow sets it; left there, it would pass for the user's own from here on
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    client = MlflowClient()
    client.search_experiments(max_results=1)
    return client


def store(root: Path) -> str:
    """Where runs and versions are kept: MLFLOW_TRACKING_URI, or mlflow.db in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or own_store(root)


def own_store(root: Path) -> str:
    """The store of a project that nobody gave another. MLflow itself puts it into the environment once it is used."""
    return f"sqlite:///{root / 'mlflow.db'}"


def experiment(client: MlflowClient, root: Path, name: str) -> str:
    """The id of the experiment, made on first use; a project's own store keeps its artifacts in mlruns."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    own = store(root) == own_store(root)
    return client.create_experiment(name, artifact_location=(root / "mlruns" / name).as_uri() if own else None)


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
