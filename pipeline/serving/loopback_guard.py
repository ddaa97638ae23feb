"""Guards a web server on loopback: it answers to its own name only, and asks for a password where it is given one.

Loopback is open to every user of the machine, and to every web page in their browsers: a page may name a host of its
own that resolves to 127.0.0.1 (DNS rebinding), or send requests across origins. The guard wraps an ASGI application.
"""

import base64
import hmac
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HTTP_PORT = 80  # which a browser leaves out of Host and Origin


class LoopbackGuard:
    """An ASGI application that refuses what another page or another user of the machine may send to the one inside.

    ``credentials`` is ``user:password``; None leaves the check of a password to the application. ``address`` is that on
    which the server listens.
    """

    def __init__(
        self, application: Application, port: int, credentials: str | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.application = application
        names = {"127.0.0.1", "localhost", f"[{address}]" if ":" in address else address}
        self.hosts = {f"{name}:{port}" for name in names} | (names if port == HTTP_PORT else set())
        self.origins = {f"http://{host}" for host in self.hosts}
        self.credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand an allowed request to the application; answer any other with its refusal."""
        refusal = self.refusal(scope["headers"]) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await send_refusal(send, *refusal)

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """The HTTP status and the reason for which a request with these headers is refused; None if it is allowed."""
        values: dict[str, list[str]] = {}
        for name, value in headers:
            values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if len(values.get("host", [])) != 1 or values["host"][0].lower() not in self.hosts:
            return 403, "expected the Host of this server, found another"
        if any(origin.lower() not in self.origins for origin in values.get("origin", [])):
            return 403, "expected no request from another origin, found one"
        if self.credentials is not None and not self.has_credentials(values.get("authorization", [])):
            return 401, "expected user name and password of this server"
        return None

    def has_credentials(self, values: list[str]) -> bool:
        """Whether the header Authorization holds user name and password."""
        wanted = "Basic " + base64.b64encode(str(self.credentials).encode()).decode()
        return len(values) == 1 and hmac.compare_digest(values[0].encode(), wanted.encode())


def guard_without_keys(application: Application, listening: socket.socket, is_open: bool) -> Application:
    """The application; where it ``is_open`` without keys, it answers to its own name, and to no page of another origin.

    ``listening`` is the socket on loopback on which it answers.
    """
    if not is_open:
        return application
    address, port = listening.getsockname()[:2]
    return LoopbackGuard(application, port, address=address)


async def send_refusal(send: Send, status: int, reason: str) -> None:
    """Answer a request with a status and a line of text; 401 makes a browser ask for user name and password."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(reason)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="gleaner"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
