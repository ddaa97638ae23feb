"""How the service answers HTTP: the settings of uvicorn that workers and the front of replicas share."""

import logging
from typing import Any, Literal

import uvicorn

BACKLOG = 2048


def server_config(application: Any, drain_seconds: float, lifespan: Literal["auto", "off"] = "auto") -> uvicorn.Config:
    """What serves the ASGI application; at its end it has ``drain_seconds`` for what came in. No request is logged."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it quotes the errors of requests that are gone
    return uvicorn.Config(
        application,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        lifespan=lifespan,
        timeout_graceful_shutdown=round(drain_seconds),
        timeout_keep_alive=65,
        h11_max_incomplete_event_size=65_536,
        ws="none",
    )
