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
from pipeline.serving.admission import ANYONE, count_request, find_key
from pipeline.serving.errors import ApiError
from pipeline.serving.keys import Keyring, keys_file
from pipeline.serving.loopback_guard import guard_without_keys
from pipeline.serving.rate_limit import RateLimit
from pipeline.serving.replica import Answered, Asked, Replica
from pipeline.serving.service import Settings, masks_pii
from pipeline.sources.pii_masking import check_masks
from tasks.serving.supervise import worker_variables

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
NAME = "gleaner"  # of the application in Ray Serve
UNCOUNTED = ("/healthz", "/readyz", "/metrics", "/ping", "/health", "/version")  # for probes; no key is needed


class Front:
    """An ASGI application that asks replicas; ``answer`` is the handle of their method."""

    def __init__(self, settings: Settings, params: Params, answer: Any) -> None:
        self.settings, self.limits, self.answer = settings, params.serve.limits, answer
        self.keyring = Keyring(keys_file(settings.root))
        self.rate = RateLimit(self.limits.requests_per_second, self.limits.burst)

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
        """Count a request with a valid key; others are refused by the replica. Raises ApiError for one too many.

        Without keys, what asks for none with keys either is not counted.
        """
        key = ANYONE
        if scope["path"] in UNCOUNTED:
            return
        if not self.settings.is_open:
            stored = find_key(self.keyring, dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
            if stored is None:
                return
            key = stored.id
        count_request(self.rate, key, self.limits.requests_per_second)

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
def replicas(settings: Settings, params: Params, metrics: Path) -> Iterator[Any]:
    """The handle of the replicas' method ``answer``, for a block; one replica at least is up, and all end with it.

    Raises UserError if the cluster has no room for them, or if this machine cannot mask as params say.
    """
    if masks_pii(params):
        check_masks(params.ingest)  # here, too: what a replica raises as it starts is hidden in an error of Ray
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
        handle = serve.run(describe_replicas(settings, params, metrics), name=NAME, route_prefix=None)
        yield handle.answer
    finally:
        serve.delete(NAME)


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


def serve_requests(front: Front, listening: socket.socket, drain_seconds: float) -> None:
    """Answer on the socket until SIGINT or SIGTERM, and until everything that came in is answered."""
    config = uvicorn.Config(
        guard_without_keys(front, listening, front.settings.is_open),
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=round(drain_seconds),
        timeout_keep_alive=65,
    )
    with suppress(KeyboardInterrupt, SystemExit):  # uvicorn raises its signal again once everything is answered
        uvicorn.Server(config).run(sockets=[listening])
