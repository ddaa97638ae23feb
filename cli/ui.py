"""What `gleaner ui` does: the pages of Prefect and MLflow on loopback, until Ctrl-C."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from flows import prefect_server

PORTS = {"prefect": 4200, "mlflow": 5000}  # where people look for them; another one where these are taken


def main(root: Path) -> int:
    """Serve both until interrupted; 1 when one of them ends by itself."""
    prefect_server.configure(root)
    try:
        with prefect_server.interruptible(), prefect() as (prefect_url, first), mlflow(root) as (mlflow_url, second):
            print(f"Prefect: {prefect_url}\nMLflow:  {mlflow_url}\nCtrl-C stops both.", flush=True)
            own = [process for process in (first, second) if process]
            while all(process.poll() is None for process in own):
                time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    print(f"error: a server ended by itself; see the logs in {os.environ['PREFECT_HOME']}", file=sys.stderr)
    return 1


@contextmanager
def prefect() -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """The address of Prefect's pages, and the server if this command had to start one.

    Its address is left where a training run looks for it, so that the run shows up in the pages that are open.
    """
    url = os.environ.get("PREFECT_API_URL") or prefect_server.announced()
    if url and prefect_server.answers(url):
        yield url.removesuffix("/api"), None
        return
    port = prefect_server.free_port(PORTS["prefect"])
    url = os.environ["PREFECT_API_URL"] = prefect_server.api_url(port)
    process = prefect_server.start(port, pages=True)
    note = prefect_server.address(Path(os.environ["PREFECT_HOME"]))
    try:
        prefect_server.wait(process, url)
        note.write_text(url)
        yield url.removesuffix("/api"), process
    finally:
        note.unlink(missing_ok=True)
        prefect_server.stop(process)


@contextmanager
def mlflow(root: Path) -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """The address of MLflow's pages, and the server if this command had to start one."""
    from tasks import registry

    store = registry.store(root)
    if store.startswith("http"):
        yield store, None
        return
    registry.connect(root)  # the server's workers would create the database all at once
    port = prefect_server.free_port(PORTS["mlflow"])
    url = f"http://127.0.0.1:{port}"
    output = Path(os.environ["PREFECT_HOME"]) / "mlflow.log"
    options = ["--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = prefect_server.spawn(["mlflow", "server", *options], output)
    try:
        while process.poll() is None and not open_page(url):
            time.sleep(0.1)
        yield url, process
    finally:
        prefect_server.stop(process)


def open_page(url: str) -> bool:
    """Whether a page is served there."""
    try:
        with urlopen(url, timeout=2):
            return True
    except (URLError, OSError):
        return False
