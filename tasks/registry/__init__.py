"""MLflow: the runs that record what was measured, and the model versions made of them.

Only this folder talks to MLflow's stores. MLflow itself loads tasks/registry/served_model.py.
"""

from tasks.registry.lookup import all_versions, find_baseline, find_version
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.runs import ABOUT_ARTIFACT, BATCH_SIZE, Run, open_run
from tasks.registry.store import MLFLOW_CREDENTIALS, MLFLOW_STORE, connect, experiment_id, flatten, store_uri
from tasks.registry.versions import (
    SERVING_PACKAGES,
    Registration,
    aliases_of,
    is_push_failure,
    push_data,
    register,
    register_or_reuse,
    serving_requirements,
)

__all__ = [
    "ABOUT_ARTIFACT",
    "BATCH_SIZE",
    "MLFLOW_CREDENTIALS",
    "MLFLOW_STORE",
    "SERVING_PACKAGES",
    "RegisteredVersion",
    "Registration",
    "Run",
    "aliases_of",
    "all_versions",
    "connect",
    "experiment_id",
    "find_baseline",
    "find_version",
    "flatten",
    "is_push_failure",
    "open_run",
    "push_data",
    "register",
    "register_or_reuse",
    "serving_requirements",
    "store_uri",
]
