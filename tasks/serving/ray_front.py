"""The service on a Ray cluster: replicas by Ray Serve, and the front in this process that hands requests to them.

The front is the only door: Ray Serve's own HTTP proxy stays closed. It counts the requests of each key, so that a rate
holds for all replicas together, and sends a request to another replica when the one that had it dies.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn

from pipeline.compute.ray_cluster import RETRIES, connect, count_workers
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.printable import print_note
from pipeline.policies.monitoring.traffic import ANYONE
from pipeline.serving.admission import count_request, find_key
from pipeline.serving.app import build_app, counted_paths
from pipeline.serving.errors import ApiError
from pipeline.serving.http_server import server_config
from pipeline.serving.loopback_guard import guard_without_keys
from pipeline.serving.replica import Answered, Asked, Replica
from pipeline.serving.service import Service, Settings
from tasks.serving.supervise import worker_variables

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Front:
    """An ASGI application that asks replicas; ``answer`` is the handle of their method.

    Of the ``service`` it has keys, rate and limits; it answers nothing by itself.
    """

    def __init__(self, service: Service, answer: Any) -> None:
        self.service, self.answer = service, answer
        self.limits = service.params.serve.limits
        self.counted = counted_paths(build_app(service))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; what an error says is not told, because it may quote a text."""
        if scope["type"] != "http":
            return
        try:
            self.count(scope)
            answered = await self.ask(await self.read(scope, receive))
        except ApiError as refusal:
            await refusal.response()(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": answered.status, "headers": answered.headers})
        await send({"type": "http.response.body", "body": answered.body})

    def count(self, scope: Message) -> None:
        """Count a request as a worker does, if its key is valid; the replica refuses others.

        Raises ApiError for one too many.
        """
        if scope["path"] not in self.counted:
            return
        key = ANYONE
        if not self.service.settings.is_open:
            authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            stored = find_key(self.service.keyring, authorization)
            if stored is None:
                return
            key = stored.id
        count_request(self.service.rate, key, self.limits.requests_per_second)

    async def read(self, scope: Message, receive: Receive) -> Asked:
        """A request with its body, which is cut once it is too large, so that the replica refuses it.

        Raises ApiError for a body that is too slow.
        """
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self.limits.timeout_seconds):
                while more and len(body) <= self.limits.body_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "gone", "expected the whole body, found a part")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ApiError(408, "slow", "expected the body in time, found a part") from None
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        return Asked(scope["method"], scope["path"], scope["query_string"], headers, bytes(body))

    async def ask(self, asked: Asked) -> Answered:
        """The answer of a replica; of another one where it dies. Raises ApiError if none answers."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        for _ in range(RETRIES + 1):
            try:
                answered: Answered = await self.answer.remote(asked)
                return answered
            except (RayError, RayServeException) as error:
                print_note(f"serve: a replica did not answer ({type(error).__name__}); another one is asked")
        raise ApiError(503, "no_replica", "expected a replica that answers, found none", 5)


@contextmanager
def replicas(settings: Settings, params: Params, metrics: Path, name: str) -> Iterator[Any]:
    """The handle of the replicas' method ``answer``, for a block; one replica at least is up, and all end with it.

    ``name`` is that of the application in Ray Serve: replicas of the same name that a killed process left end first.
    Raises UserError if the cluster has no room for them, or if they do not start.
    """
    connect(params.compute)
    wanted, room = params.serve.replicas, count_workers(params.compute)
    if wanted.least > room:
        raise UserError(
            f"serve.replicas.least: expected at most {room}, for which the cluster has room, found {wanted.least}; "
            "lower it, or add nodes"
        )
    from ray import serve

    serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR"})
    try:
        try:
            handle = serve.run(describe_replicas(settings, params, metrics), name=name, route_prefix=None)
        except RuntimeError:  # its message is a replica's traceback
            raise UserError(
                "serve.engine: expected replicas that start, found one that failed on its node; "
                "see /tmp/ray/session_latest/logs/serve there, and let all nodes share the project's folder"
            ) from None
        yield handle.answer
    finally:
        serve.delete(name)


def application_name(listening: socket.socket) -> str:
    """The name of the application behind a socket that listens: services on other machines and ports have others."""
    address, port = listening.getsockname()[:2]
    return f"gleaner-{socket.gethostname()}-{address}-{port}"


def describe_replicas(settings: Settings, params: Params, metrics: Path) -> Any:
    """What Ray Serve is to run: how many replicas, and what each of them needs."""
    from ray import serve

    wanted = params.serve.replicas
    as_deployment = serve.deployment(
        name="replica",
        ray_actor_options={
            "num_cpus": params.compute.cpus_per_worker,
            "runtime_env": {"env_vars": worker_variables(metrics)},
        },
        autoscaling_config={
            "min_replicas": wanted.least,
            "max_replicas": wanted.most,
            "target_ongoing_requests": wanted.requests,
            "upscale_delay_s": wanted.up_seconds,
            "downscale_delay_s": wanted.down_seconds,
        },
        max_ongoing_requests=params.serve.batch.queue_texts,  # what is too much the replica itself refuses
        graceful_shutdown_timeout_s=params.serve.drain_seconds,
        logging_config={"enable_access_log": False, "log_level": "ERROR"},
    )
    return as_deployment(Replica).bind(settings, params)


def serve_requests(front: Front, listening: socket.socket) -> None:
    """Answer on the socket until SIGINT or SIGTERM, and until everything that came in is answered."""
    application = guard_without_keys(front, listening, front.service.settings.is_open)
    config = server_config(application, front.service.params.serve.drain_seconds, lifespan="off")
    with suppress(KeyboardInterrupt, SystemExit):  # uvicorn raises its signal again once everything is answered
        uvicorn.Server(config).run(sockets=[listening])
