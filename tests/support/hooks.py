"""Servers on loopback that keep what they receive: one for HTTP, one for SMTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from flows.prefect_server import free_port


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Host and port of an HTTP server, and the JSON objects that it has received so far."""
    posted: list[dict[str, Any]] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keep) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", posted
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def mailbox() -> Iterator[tuple[str, list[EmailMessage]]]:
    """Host and port of a mail server without password, and the mails that it has received so far."""
    mails: list[EmailMessage] = []

    class Keep:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            mails.append(message_from_bytes(envelope.content, policy=default))
            return "250 taken"

    controller = Controller(Keep(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}", mails
    finally:
        controller.stop()
