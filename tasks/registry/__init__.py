"""MLflow: the runs that record what was measured, and the model versions made of them.

Only this folder talks to MLflow's stores. MLflow itself loads tasks/registry/served_model.py.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.registry.lookup import all_versions, find_baseline, find_version
    from tasks.registry.registered_version import RegisteredVersion
    from tasks.registry.registration import Registration
    from tasks.registry.runs import ABOUT_ARTIFACT, BATCH_SIZE, Run, open_run
    from tasks.registry.store import MLFLOW_CREDENTIALS, MLFLOW_STORE, connect, experiment_id, flatten, store_uri
    from tasks.registry.versions import (
        SERVING_PACKAGES,
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


def __getattr__(name: str) -> Any:
    """A name of `__all__`, imported on first use: MLflow takes seconds, and `version_bundle` does without it.

    Raises AttributeError for any other name.
    """
    if name in __all__:
        for module in ("lookup", "registered_version", "registration", "runs", "store", "versions"):
            found = vars(import_module(f"{__name__}.{module}"))
            if name in found:
                return found[name]
    raise AttributeError(f"module {__name__} has no attribute {name}")
