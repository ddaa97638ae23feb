"""The Prefect server of this project: use the one that answers, else start one on loopback and stop it afterwards.

Imports no Prefect: its settings are read once, on import, and have to be in the environment by then.
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

from tasks.processes.process import bound_to_parent, end

PATIENCE = 120.0  # seconds for a server to answer: the first start compiles its modules and creates its database
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that the pages of a project do not need
    "DVC_NO_ANALYTICS": "true",
}


def configure(root: Path) -> None:
    """Keep every library off the network, and Prefect's state in the project; what the user has set stays."""
    for name, value in {**SETTINGS, "PREFECT_HOME": str(root / ".prefect")}.items():
        os.environ.setdefault(name, value)


@contextmanager
def server(root: Path) -> Iterator[Callable[[], None]]:
    """A Prefect server for the block, its address in PREFECT_API_URL; the function that is yielded waits for it."""
    configure(root)
    url = os.environ.get("PREFECT_API_URL") or announced()
    if url and answers(url):
        os.environ["PREFECT_API_URL"] = url
        yield lambda: None
        return
    if "PREFECT_API_URL" in os.environ:
        print(f"no Prefect server answers at PREFECT_API_URL={url}: starting one for this run", file=sys.stderr)
    port = free_port()
    process = start(port)
    os.environ["PREFECT_API_URL"] = api_url(port)
    try:
        yield lambda: wait(process, api_url(port))
    finally:
        stop(process)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that whatever it started ends with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def start(port: int, pages: bool = False) -> subprocess.Popen[bytes]:
    """Start a Prefect server on loopback; one without web pages is ready sooner."""
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return spawn(["prefect", "server", "start", *address, "--ui" if pages else "--no-ui"], log(home))


def spawn(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """Start a Python module as a server that writes what it says to a file.

    It leads a session of its own: Ctrl-C ends the flow, which still has to tell the server so. It ends with this
    process all the same.
    """
    with output.open("wb") as file:
        return subprocess.Popen(
            bound_to_parent([sys.executable, "-m", *command]),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the workers that it started."""
    end([process])
    process.wait()
    if process.stdin:
        process.stdin.close()


def wait(process: subprocess.Popen[bytes], url: str) -> None:
    """Return once the server answers; RuntimeError with its last lines when it ends or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            path = log(Path(os.environ["PREFECT_HOME"]))
            lines = path.read_text(errors="replace").splitlines()[-10:]
            raise RuntimeError("\n".join([f"the Prefect server did not start; the end of {path}:", *lines]))
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a Prefect API is there; one that wants to know who asks is there, too."""
    try:
        with urlopen(f"{url}/health", timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def announced() -> str | None:
    """The address that `gleaner ui` left in Prefect's home, so that a run shows up in the pages that are open."""
    try:
        return address(Path(os.environ["PREFECT_HOME"])).read_text()
    except FileNotFoundError:
        return None


def free_port(wanted: int = 0) -> int:
    """A port of the loopback interface that nothing listens on: the wanted one where it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def api_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/api"


def address(home: Path) -> Path:
    """Where `gleaner ui` announces its server."""
    return home / "server.url"


def log(home: Path) -> Path:
    """Where a server that this project starts writes what it says."""
    return home / "server.log"
