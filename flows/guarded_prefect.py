"""Prefect's server for one project: on loopback, behind the guard, with a password of its own.

    python -m flows.guarded_prefect PORT

The password is in the environment, as PREFECT_SERVER_API_AUTH_STRING: a command line can be read by other users.
"""

import sys

import uvicorn
from prefect.server.api.server import create_app

from pipeline.serving.loopback_guard import LoopbackGuard


def main(port: int) -> None:
    """Serve until the process ends. Prefect checks the password itself: its page asks for it."""
    guarded = LoopbackGuard(create_app(final=True), port)
    uvicorn.run(guarded, host="127.0.0.1", port=port, log_level="info")


if __name__ == "__main__":
    main(int(sys.argv[1]))
