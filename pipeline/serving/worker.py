"""A worker: one process that answers on the socket of its supervisor, and ends when that is gone.

    python -m pipeline.serving.worker SETTINGS

SETTINGS is JSON: root, handover, is_open, and socket, the number of an inherited file descriptor. Stdin is a pipe whose
other end the supervisor holds: when it closes, the worker drains and ends.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.params import load_params
from pipeline.core.printable import print_note
from pipeline.serving.app import build_app
from pipeline.serving.http_server import server_config
from pipeline.serving.loopback_guard import guard_without_keys
from pipeline.serving.service import Settings, build_service


def main(given: dict[str, Any]) -> int:
    """Answer until the supervisor says to stop; returns the exit code."""
    restrict_new_files()
    settings = Settings(Path(given["root"]), Path(given["handover"]), given["is_open"])
    try:
        params = load_params(settings.root / "params.yaml")
        service = build_service(settings, params)
    except UserError as error:
        print_note(f"error: {error}")
        return 2
    inherited = socket.socket(fileno=given["socket"])
    inherited.setblocking(False)
    application = guard_without_keys(build_app(service), inherited, settings.is_open)
    config = server_config(application, params.serve.drain_seconds)
    server = uvicorn.Server(config)

    async def serve() -> None:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop)
        await server.serve(sockets=[inherited])

    def stop() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            service.draining = True
            server.should_exit = True

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
