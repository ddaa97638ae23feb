"""The command `gleaner ui`: serve the pages of Prefect and MLflow on loopback, until Ctrl-C."""

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

PORTS = {"prefect": 4200, "mlflow": 5000}  # the usual ports; a free one is taken where these are in use


def main(root: Path) -> int:
    """Serve both until interrupted; exit code 0 after Ctrl-C, 1 when one of them ends by itself."""
    prefect_server.configure_environment(root)
    try:
        with (
            prefect_server.interruptible(),
            prefect_pages() as (prefect_url, first),
            mlflow_pages(root) as (mlflow_url, second),
        ):
            print(f"Prefect: {prefect_url}\nMLflow:  {mlflow_url}\nCtrl-C stops both.", flush=True)
            started = [process for process in (first, second) if process]
            while all(process.poll() is None for process in started):
                time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    print(f"error: a server ended by itself; see the logs in {os.environ['PREFECT_HOME']}", file=sys.stderr)
    return 1


@contextmanager
def prefect_pages() -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """Run a block with Prefect's pages; yields their address, and the server if this command started one.

    A run finds the address in a file, so that it shows up in the pages that are open.
    """
    url = os.environ.get("PREFECT_API_URL") or prefect_server.announced_url()
    if url and prefect_server.is_answering(url):
        yield url.removesuffix("/api"), None
        return
    port = prefect_server.free_port(PORTS["prefect"])
    url = os.environ["PREFECT_API_URL"] = prefect_server.api_url(port)
    process = prefect_server.start_server(port, pages=True)
    announcement = prefect_server.url_file(Path(os.environ["PREFECT_HOME"]))
    try:
        prefect_server.wait_until_ready(process, url)
        announcement.write_text(url)
        yield url.removesuffix("/api"), process
    finally:
        announcement.unlink(missing_ok=True)
        prefect_server.stop_server(process)


@contextmanager
def mlflow_pages(root: Path) -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """Run a block with MLflow's pages; yields their address, and the server if this command started one."""
    from tasks import registry

    store = registry.store_uri(root)
    if store.startswith("http"):
        yield store, None
        return
    registry.connect(root)  # the server's workers would create the database all at once
    port = prefect_server.free_port(PORTS["mlflow"])
    url = f"http://127.0.0.1:{port}"
    output = Path(os.environ["PREFECT_HOME"]) / "mlflow.log"
    options = ["--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = prefect_server.spawn_module(["mlflow", "server", *options], output)
    try:
        while process.poll() is None and not is_page_served(url):
            time.sleep(0.1)
        yield url, process
    finally:
        prefect_server.stop_server(process)


def is_page_served(url: str) -> bool:
    """Whether a page is served at ``url``."""
    try:
        with urlopen(url, timeout=2):
            return True
    except (URLError, OSError):
        return False
