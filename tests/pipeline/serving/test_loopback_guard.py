"""The guard lets through what names the server, comes from its own pages, and has its password."""

import asyncio
import base64
from typing import Any

import pytest

from pipeline.serving.loopback_guard import LoopbackGuard

PASSWORD = "gleaner:secret"
OWN = (b"host", b"127.0.0.1:5000")
ALLOWED = (b"authorization", b"Basic " + base64.b64encode(PASSWORD.encode()))


async def answer(*headers: tuple[bytes, bytes], kind: str = "http", credentials: str | None = PASSWORD) -> Any:
    """What the guarded application answers to a request with these headers: the first message that it sends."""
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "application", "status": 200})

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    guard = LoopbackGuard(application, 5000, credentials)
    await guard({"type": kind, "headers": headers}, receive, send)
    return sent[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((OWN, ALLOWED), 200),
        (((b"Host", b"LocalHost:5000"), ALLOWED, (b"origin", b"http://localhost:5000")), 200),
        ((OWN,), 401),
        ((OWN, (b"authorization", b"Basic guess")), 401),
        ((OWN, ALLOWED, ALLOWED), 401),
        ((ALLOWED,), 403),
        ((OWN, OWN, ALLOWED), 403),
        (((b"host", b"evil.example:5000"), ALLOWED), 403),
        (((b"host", b"127.0.0.1"), ALLOWED), 403),
        ((OWN, ALLOWED, (b"origin", b"http://evil.example")), 403),
        ((OWN, ALLOWED, (b"origin", b"null")), 403),
    ],
)
def test_a_request_is_answered_or_refused(headers: tuple[tuple[bytes, bytes], ...], status: int) -> None:
    assert asyncio.run(answer(*headers))["status"] == status


@pytest.mark.parametrize(
    ("address", "port", "host", "is_allowed"),
    [
        ("::1", 8080, "[::1]:8080", True),
        ("127.0.0.2", 8080, "127.0.0.2:8080", True),
        ("127.0.0.1", 8080, "127.0.0.2:8080", False),
        ("127.0.0.1", 80, "localhost", True),
        ("127.0.0.1", 8080, "localhost", False),
    ],
)
def test_the_address_on_which_it_listens_is_a_name_of_its_own(
    address: str, port: int, host: str, is_allowed: bool
) -> None:
    guard = LoopbackGuard(None, port, address=address)  # type: ignore[arg-type]
    assert (guard.refusal([(b"host", host.encode())]) is None) == is_allowed


def test_a_web_socket_of_another_page_is_closed() -> None:
    message = asyncio.run(answer(OWN, ALLOWED, (b"origin", b"http://evil.example"), kind="websocket"))
    assert (message["type"], message["code"]) == ("websocket.close", 1008)


def test_the_application_checks_the_password_where_the_guard_has_none() -> None:
    assert asyncio.run(answer(OWN, credentials=None))["status"] == 200


def test_the_start_of_the_application_is_let_through() -> None:
    assert asyncio.run(answer(kind="lifespan"))["status"] == 200
