"""The application of one worker: routes, and what every request goes through."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving import metrics
from pipeline.serving.errors import ApiError
from pipeline.serving.routes import about, answers, mlflow_routes, pages
from pipeline.serving.service import Service, log_crash

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DESCRIPTION = "Labels texts with the champion of a Gleaner project. Every answer names the version that gave it."
TOO_MANY = 429
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


def build_app(service: Service) -> "Guard":
    """The application over the state of a worker."""
    app = FastAPI(
        title="Gleaner",
        description=DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lambda _: lifespan(service),
    )
    for routes in (answers, about, mlflow_routes, pages):
        routes.add(app, service)
    app.add_exception_handler(ApiError, answer_refusal)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Exception, answer_fault)
    return Guard(app, {route.path for route in app.routes if hasattr(route, "path")})


def counted_paths(app: "Guard") -> set[str]:
    """The paths of routes whose requests are counted for a rate: those that may answer 429."""
    return {route.path for route in app.app.routes if isinstance(route, APIRoute) and TOO_MANY in route.responses}


@contextlib.asynccontextmanager
async def lifespan(service: Service) -> AsyncIterator[None]:
    """Follow the handover and compute batches while the application runs; what is queued is computed at the end."""
    service.batcher.start()
    service.traffic.start()
    await service.look()  # who connects to a worker that replaces another waits for its model, and gets no 503
    following = asyncio.create_task(service.follow())
    yield
    service.draining = True
    following.cancel()
    await asyncio.gather(*service.background, return_exceptions=True)
    await service.batcher.stop()
    await asyncio.to_thread(service.traffic.stop)


async def answer_refusal(_: Request, error: Exception) -> Response:
    """The answer to a refused request."""
    assert isinstance(error, ApiError)
    metrics.REFUSALS.labels(error.code).inc()
    return error.response()


async def answer_http_error(_: Request, error: Exception) -> Response:
    """The answer where no route fits."""
    assert isinstance(error, HTTPException)
    code = {404: "no_such_path", 405: "no_such_method"}.get(error.status_code, "refused")
    response = ApiError(error.status_code, code, "expected a path and a method of /docs, found another").response()
    response.headers.update(error.headers or {})
    return response


async def answer_fault(_: Request, error: Exception) -> Response:
    """The answer to a request that ends in an error; the log gets its kind and place, and nothing that it quotes."""
    log_crash(error)
    return ApiError(500, "fault", "expected no fault in the service, found one; its log says where").response()


class Guard:
    """An ASGI application around the one inside: times and counts each request, and lets no traceback out."""

    def __init__(self, app: FastAPI, paths: set[str]) -> None:
        self.app, self.paths = app, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and let nothing out of an error, which Starlette raises again once it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        path = scope["path"] if scope["path"] in self.paths else "other"

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            with contextlib.suppress(Exception):  # `answer_fault` has answered it; its traceback may quote a text
                await self.app(scope, receive, send_on)
        finally:
            metrics.REQUESTS.labels(path, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(path).observe(time.perf_counter() - began)
