"""The Prefect server of a command: one that runs already, or one that is started on loopback and stopped afterwards.

This module imports no Prefect: Prefect reads its settings once, on import, so the environment must be set before.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tasks.processes.process import bound_to_parent, end_sessions

START_TIMEOUT = 120.0  # seconds; the first start compiles the server's modules and creates its database
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that the pages of a project do not need
    "DVC_NO_ANALYTICS": "true",
}


def configure_environment(root: Path) -> None:
    """Set the environment so that no library phones home and Prefect keeps its state in the project.

    Variables that the user has set stay as they are.
    """
    for name, value in {**SETTINGS, "PREFECT_HOME": str(root / ".prefect")}.items():
        os.environ.setdefault(name, value)


@contextmanager
def running_server(root: Path) -> Iterator[Callable[[], None]]:
    """Run a block with a Prefect server, whose address is in PREFECT_API_URL; yields a function that waits for it.

    A server that answers already is used and left running. Else one is started, and stopped after the block.
    """
    configure_environment(root)
    url = os.environ.get("PREFECT_API_URL") or announced_url()
    if url and is_answering(url):
        os.environ["PREFECT_API_URL"] = url
        yield lambda: None
        return
    if "PREFECT_API_URL" in os.environ:
        print(f"no Prefect server answers at PREFECT_API_URL={url}: starting one for this run", file=sys.stderr)
    port = free_port()
    process = start_server(port)
    os.environ["PREFECT_API_URL"] = api_url(port)
    try:
        yield lambda: wait_until_ready(process, api_url(port))
    finally:
        stop_server(process)


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


def start_server(port: int, pages: bool = False) -> subprocess.Popen[bytes]:
    """Start a Prefect server on loopback; without ``pages`` it is ready sooner."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return spawn_module(["prefect", "server", "start", *address, "--ui" if pages else "--no-ui"], log_file(home))


def spawn_module(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """Start a Python module as a server that writes its output to a file.

    The server leads a separate session: Ctrl-C ends the flow, and the flow must still reach the server to report its
    state. The server ends when this process ends.
    """
    with output.open("wb") as file:
        return subprocess.Popen(
            bound_to_parent([sys.executable, "-m", *command]),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End a server and its workers."""
    end_sessions([process])
    process.wait()
    if process.stdin:
        process.stdin.close()


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the server answers.

    Raises RuntimeError with the last lines of its log when it ends or takes longer than START_TIMEOUT.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not is_answering(url):
        if process.poll() is not None or time.monotonic() > deadline:
            path = log_file(Path(os.environ["PREFECT_HOME"]))
            lines = path.read_text(errors="replace").splitlines()[-10:]
            raise RuntimeError("\n".join([f"the Prefect server did not start; the end of {path}:", *lines]))
        time.sleep(0.05)


def is_answering(url: str) -> bool:
    """Whether a Prefect API answers at ``url``; one that asks for a password counts, too."""
    try:
        with urlopen(f"{url}/health", timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def announced_url() -> str | None:
    """The address of the server that `gleaner ui` or `gleaner schedule` started; None where there is none.

    A run that uses it shows up in the pages that are open.
    """
    try:
        return url_file(Path(os.environ["PREFECT_HOME"])).read_text()
    except FileNotFoundError:
        return None


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


def url_file(home: Path) -> Path:
    """The file in which `gleaner ui` leaves the address of its server."""
    return home / "server.url"


def log_file(home: Path) -> Path:
    """The file to which a server of this project writes its output."""
    return home / "server.log"
