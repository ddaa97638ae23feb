"""A replica of the service on a Ray cluster: the application of one worker, asked by messages instead of a socket.

The front in `gleaner serve` (tasks/serving/ray_front.py) sends it the requests; it opens no port of its own.
"""

import contextlib
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.params import Params
from pipeline.serving.app import build_app, lifespan
from pipeline.serving.metrics import FOLDER_VARIABLE
from pipeline.serving.rate_limit import RateLimit
from pipeline.serving.service import Service, Settings, build_service

Headers = list[tuple[bytes, bytes]]
UNLIMITED = RateLimit(1.0, float("inf"))  # the front has counted the request already


@dataclass(frozen=True)
class Asked:
    """A request: what ASGI's scope says of it, and its body."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Answered:
    """A response."""

    status: int
    headers: Headers
    body: bytes


def build_state(settings: Settings, params: Params) -> Service:
    """The state of the front or of a replica: the service as its only worker has it. Raises as `build_service` does."""
    threads = params.serve.threads or params.compute.cpus_per_worker
    one = params.serve.model_copy(update={"threads": threads, "workers": 1})
    return build_service(settings, params.model_copy(update={"serve": one}))


class Replica:
    """The state of one replica; Ray Serve makes it, and awaits `check_health` before it sends requests."""

    def __init__(self, settings: Settings, params: Params) -> None:
        """Raises UserError as `build_state` does."""
        restrict_new_files()
        self.service = replace(build_state(settings, params), rate=UNLIMITED)
        self.app = build_app(self.service)
        self.running: contextlib.AsyncExitStack | None = None

    async def check_health(self) -> None:
        """Begin to follow the handover, the first time; the version is loaded when this returns."""
        if self.running is None:
            self.running = contextlib.AsyncExitStack()
            try:
                await self.running.enter_async_context(lifespan(self.service))
            except BaseException:
                self.running = None
                raise

    def __del__(self) -> None:
        """Write what was kept of the traffic, and forget its gauges; Ray Serve calls it as a replica ends."""
        if self.running is not None:
            self.service.traffic.stop()
            if FOLDER_VARIABLE in os.environ:
                mark_process_dead(os.getpid())

    async def answer(self, asked: Asked) -> Answered:
        """What the application answers to a request."""
        await self.check_health()
        return await ask(self.app, asked)


async def ask(app: Any, asked: Asked) -> Answered:
    """What an ASGI application answers to a request."""
    sent: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": asked.method,
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "query_string": asked.query,
        "headers": asked.headers,
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answered(sent[0]["status"], [(bytes(name), bytes(value)) for name, value in sent[0]["headers"]], body)
