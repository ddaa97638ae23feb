"""A server of ours answers to its own name and its own password only; what else answers at an address is no server."""

import base64
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from flows import prefect_server as servers
from flows import server_address as addresses
from flows.server_address import ServerAddress
from pipeline.core.errors import UserError


@contextmanager
def web_server(status: int, content: Any) -> Iterator[str]:
    """The address of a web server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(content).encode() if content is not None else b"<html>hello</html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()


def status_of(url: str, credentials: str | None = None, **headers: str) -> int:
    """The HTTP status of a request for the list of work pools."""
    request = Request(f"{url}/work_pools/filter", data=b"{}", headers={"Content-Type": "application/json", **headers})
    if credentials:
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    try:
        with urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_a_server_of_ours_wants_its_password_its_name_and_its_origin(prefect_server: str) -> None:
    password = os.environ["PREFECT_API_AUTH_STRING"]
    own = prefect_server.removesuffix("/api")
    port = own.rpartition(":")[2]
    assert status_of(prefect_server, password) == status_of(prefect_server, password, Origin=own) == 200
    assert status_of(prefect_server) == status_of(prefect_server, "gleaner:guess") == 401
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}"):
        assert status_of(prefect_server, password, Host=host) == 403
    for origin in ("null", "http://evil.example", f"http://evil.example:{port}", "http://127.0.0.1:1"):
        assert status_of(prefect_server, password, Origin=origin) == 403
    assert addresses.server_fault(ServerAddress(prefect_server, password)) is None
    assert addresses.server_fault(ServerAddress(prefect_server, "gleaner:guess")) == "HTTP 401"


def test_the_password_is_random_and_only_this_user_can_read_it(tmp_path: Path) -> None:
    first, second = addresses.new_credentials(), addresses.new_credentials()
    assert first != second and len(first.split(":")[1]) >= 32
    addresses.auth_file(tmp_path).write_text("older")
    addresses.auth_file(tmp_path).chmod(0o644)
    server = ServerAddress("http://127.0.0.1:1/api", first)
    addresses.announce(tmp_path, server)
    assert addresses.announced_server(tmp_path) == server
    assert stat.S_IMODE(addresses.auth_file(tmp_path).stat().st_mode) == 0o600
    addresses.withdraw_announcement(tmp_path)
    assert addresses.announced_server(tmp_path) is None and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        (200, None, addresses.ANOTHER_SERVER),
        (200, {"status": "ok"}, addresses.ANOTHER_SERVER),
        (200, True, addresses.ANOTHER_SERVER),  # it answers true to /admin/version, too
        (503, None, "HTTP 503"),
        (404, None, "HTTP 404"),
    ],
)
def test_an_answer_that_is_not_prefects_is_an_error_at_the_users_address_and_ignored_at_a_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, content: Any, fault: str
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with web_server(status, content) as url:
        addresses.announce(tmp_path, ServerAddress(url, "gleaner:old"))
        assert servers.find_server() is None
        assert addresses.announced_server(tmp_path) is None, "the next command would ask it again"
        monkeypatch.setenv("PREFECT_API_URL", url)
        with pytest.raises(UserError, match=f"^PREFECT_API_URL: expected a Prefect server at {url}, found {fault}; "):
            servers.find_server()


def test_a_recorded_port_that_another_user_has_taken_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with web_server(200, True) as url:
        assert addresses.is_of_this_user(url)
        monkeypatch.setattr("os.getuid", lambda: 4_000_000)
        assert not addresses.is_of_this_user(url)
        monkeypatch.setattr(servers, "server_fault", lambda _: pytest.fail("it would get the password"))
        addresses.announce(tmp_path, ServerAddress(url, "gleaner:old"))
        assert servers.find_server() is None


def test_the_recorded_address_of_a_dead_server_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    addresses.announce(tmp_path, ServerAddress(servers.api_url(servers.free_port()), "gleaner:old"))
    assert servers.find_server() is None and addresses.announced_server(tmp_path) is None
    addresses.url_file(tmp_path).write_bytes(b"\xff\xfe no address")
    assert servers.find_server() is None


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "prefect.db").write_text("this is no database, but long enough to be a page of one " * 40)
    with (
        servers.started_server(servers.free_port()) as (server, process),
        pytest.raises(UserError, match="expected Prefect's server to start, found: .*file is not a database") as caught,
    ):
        servers.wait_until_ready(process, server)
    assert "\n" not in str(caught.value)
