"""The Prefect server of a command: one that runs already, or one that is started on loopback and stopped afterwards.

This module imports no Prefect: Prefect reads its settings once, on import, so the environment must be set before.
"""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flows.proxies import bypass_loopback, check_proxies
from flows.server_address import (
    ANOTHER_SERVER,
    NO_SERVER,
    SILENT,
    ServerAddress,
    announced_server,
    is_answering,
    is_of_this_user,
    new_credentials,
    server_fault,
    withdraw_announcement,
)
from flows.server_users import using_server
from pipeline.core.errors import UserError
from pipeline.core.secrets import without_credentials
from tasks.processes.process import bound_to_parent, end_sessions

START_TIMEOUT = 120.0  # seconds; the first start compiles the server's modules and creates its database
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a dead server is told after 14 seconds; MLflow's own 7 take four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds, for each try; a server that hangs is told after a minute and a half
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that the pages of a project do not need
    "DVC_NO_ANALYTICS": "true",
}


def configure_environment(root: Path) -> None:
    """Do what `quiet_libraries` does, and keep Prefect's state in the project."""
    quiet_libraries()
    os.environ.setdefault("PREFECT_HOME", str(root / ".prefect"))


def quiet_libraries() -> None:
    """Set the environment so that no library phones home, and no proxy is asked for loopback.

    Variables that the user has set stay as they are; loopback is added to their NO_PROXY.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    bypass_loopback(os.environ)


@contextmanager
def running_server(root: Path) -> Iterator[Callable[[], None]]:
    """Run a block with a Prefect server, whose address is in PREFECT_API_URL; yields a function that waits for it.

    A server that answers already is used and left running; its owner waits for the block. Else one is started, and
    stopped after the block. Raises UserError where something else answers at the user's PREFECT_API_URL.
    """
    configure_environment(root)
    with using_server(Path(os.environ["PREFECT_HOME"])):
        if find_server() is not None:
            yield lambda: None
            return
    logging.getLogger("prefect.flow_runs").addFilter(is_no_link)
    with started_server(free_port()) as (server, process):
        yield lambda: wait_until_ready(process, server)


def is_no_link(record: logging.LogRecord) -> bool:
    """Whether a log record is to be shown: a link to a page of this command's own server leads nowhere."""
    return not record.getMessage().startswith("View at ")


def find_server() -> ServerAddress | None:
    """The server that answers at PREFECT_API_URL, or the one of `gleaner ui`; the environment names it from now on.

    None where there is none. Raises UserError where something else answers at PREFECT_API_URL, or where a proxy
    variable has a value that stops Prefect's client.
    """
    check_proxies()
    home, address = Path(os.environ["PREFECT_HOME"]), os.environ.get("PREFECT_API_URL")
    server = announced_server(home)
    if server is not None and address in (None, server.url):
        fault = server_fault(server) if is_of_this_user(server.url) else ANOTHER_SERVER
        if fault is None:
            os.environ |= client_settings(server)
            return server
        if fault != SILENT:  # it was killed, and its port may belong to another server by now
            withdraw_announcement(home)
    if address is None:
        return None
    server = ServerAddress(address, os.environ.get("PREFECT_API_AUTH_STRING"))
    fault = server_fault(server)
    if fault is None:
        return server
    shown = without_credentials(address)
    if fault != NO_SERVER:
        remedy = "set PREFECT_API_AUTH_STRING" if fault in ("HTTP 401", "HTTP 403") else "correct or unset it"
        raise UserError(f"PREFECT_API_URL: expected a Prefect server at {shown}, found {fault}; {remedy}")
    print(f"no Prefect server answers at PREFECT_API_URL={shown}: starting one for this run", file=sys.stderr)
    return None


@contextmanager
def started_server(port: int, pages: bool = False) -> Iterator[tuple[ServerAddress, subprocess.Popen[bytes]]]:
    """Run a block with a server of our own with a random password; the environment names it for that time."""
    server = ServerAddress(api_url(port), new_credentials())
    names = (*client_settings(server), "PREFECT_API_KEY")
    before = {name: os.environ.pop(name, None) for name in names}
    process = start_server(server, pages)
    os.environ |= client_settings(server)
    try:
        yield server, process
    finally:
        stop_server(process)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def client_settings(server: ServerAddress) -> dict[str, str]:
    """The environment variables by which Prefect's client finds a server of ours."""
    return {
        "PREFECT_API_URL": server.url,
        "PREFECT_API_AUTH_STRING": server.credentials or "",
        "PREFECT_CLIENT_MAX_RETRIES": "3",  # 14 seconds: a server of ours that is gone does not come back
    }


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt for the block, so that the processes that it started end with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def start_server(server: ServerAddress, pages: bool = False) -> subprocess.Popen[bytes]:
    """Start a Prefect server on loopback, with a password; without ``pages`` it is ready sooner."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    port = server.url.removesuffix("/api").rpartition(":")[2]
    settings = {
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_SERVER_API_AUTH_STRING": server.credentials or "",
        "PREFECT_SERVER_UI_ENABLED": "true" if pages else "false",
        **client_settings(server),
    }
    return spawn_module(["flows.guarded_prefect", port], log_file(home), settings)


def spawn_module(
    command: list[str], output: Path, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a Python module as a server that writes its output to a file.

    The server leads a separate session: Ctrl-C ends the flow, and the flow must still reach the server to report its
    state. The server ends when this process ends. ``variables`` are added to its environment: secrets belong there,
    because other users can read a command line.
    """
    with output.open("wb") as file:
        return subprocess.Popen(
            bound_to_parent([sys.executable, "-m", *command]),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End a server and its workers."""
    end_sessions([process])
    process.wait()
    if process.stdin:
        process.stdin.close()


def wait_until_ready(process: subprocess.Popen[bytes], server: ServerAddress) -> None:
    """Wait until the server answers.

    Raises UserError with the cause from its log when it ends or takes longer than START_TIMEOUT.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not is_answering(server.url, server.credentials):
        if process.poll() is not None or time.monotonic() > deadline:
            path = log_file(Path(os.environ["PREFECT_HOME"]))
            raise UserError(
                f"expected Prefect's server to start, found: {cause_in_log(path)}; see {path}, mend that, or move "
                f"prefect.db in its folder away to begin with an empty one"
            )
        time.sleep(0.05)


def cause_in_log(path: Path) -> str:
    """The last line of a server's log that names an error, else its last line."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR: +)?[\w.\[]+.*(Error|Exception|error)\b", line)]
    return (errors or lines or ["nothing in its log"])[-1][:300]


def free_port(wanted: int = 0) -> int:
    """A free port of the loopback interface; ``wanted`` where that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def api_url(port: int) -> str:
    """The address of the API of a server on loopback."""
    return f"http://127.0.0.1:{port}/api"


def log_file(home: Path) -> Path:
    """The file to which a server of this project writes its output."""
    return home / "server.log"
