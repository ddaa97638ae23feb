"""MLflow's server for one project: on loopback, behind the guard, with a password of its own.

    python -m tasks.registry.guarded_mlflow PORT

Password and address of the store are in the environment: a command line can be read by other users, and the address
may hold a password, too. MLflow's own basic-auth keeps a database of users and needs a package that is not pinned here.
"""

import os
import sys

import uvicorn
from mlflow.server import constants

from pipeline.serving.loopback_guard import LoopbackGuard
from tasks.registry.store import MLFLOW_CREDENTIALS, MLFLOW_STORE


def guarded_pages(port: int, store: str, credentials: str) -> LoopbackGuard:
    """MLflow's pages and API for the runs and versions of a store, behind the guard; ``credentials``: user:password."""
    os.environ |= {  # what `mlflow server --backend-store-uri` sets for its workers
        constants.BACKEND_STORE_URI_ENV_VAR: store,
        constants.REGISTRY_STORE_URI_ENV_VAR: store,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "./mlartifacts",
    }
    from mlflow.server.fastapi_app import app  # it reads these variables when it is imported

    return LoopbackGuard(app, port, credentials)


def main(port: int) -> None:
    """Serve until the process ends."""
    guarded = guarded_pages(port, os.environ.pop(MLFLOW_STORE), os.environ.pop(MLFLOW_CREDENTIALS))
    uvicorn.run(guarded, host="127.0.0.1", port=port, log_level="info")


if __name__ == "__main__":
    main(int(sys.argv[1]))
