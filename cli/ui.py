"""The command `gleaner ui`: serve the pages of Prefect and MLflow on loopback, until Ctrl-C."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from flows import prefect_server, server_address
from flows.exclusive_lock import exclusive_lock
from flows.prefect_pages import prefect_pages
from pipeline.core.secrets import without_credentials

PORTS = {"prefect": 4200, "mlflow": 5000}  # the usual ports; a free one is taken where these are in use


def main(root: Path) -> int:
    """Serve both until interrupted; exit code 0 after Ctrl-C, 1 when one of them ends by itself."""
    prefect_server.configure_environment(root)
    lock = Path(os.environ["PREFECT_HOME"]) / "ui.lock"
    try:
        with (
            prefect_server.interruptible(),
            exclusive_lock(
                lock, f"{lock}: expected no other `gleaner ui` in this project, whose pages are open already"
            ),
            prefect_pages(PORTS["prefect"]) as (server, first),
            mlflow_pages(root) as (mlflow_url, second),
        ):
            print(f"Prefect: {page_of(server)}\nMLflow:  {mlflow_url}\n{password_text(first, second)}", flush=True)
            started = [process for process in (first, second) if process]
            while all(process.poll() is None for process in started):
                time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    logs = os.environ["PREFECT_HOME"]
    print(f"error: expected both servers to run until Ctrl-C, found that one ended; see {logs}", file=sys.stderr)
    return 1


def page_of(server: server_address.ServerAddress) -> str:
    """The address of a Prefect server's page."""
    return without_credentials(server.url).removesuffix("/api")


def password_text(prefect: subprocess.Popen[bytes] | None, mlflow: subprocess.Popen[bytes] | None) -> str:
    """How to get in to the servers that this command started, and how to stop them."""
    home = Path(os.environ["PREFECT_HOME"])
    lines = []
    if prefect:
        lines.append(f"Prefect's page asks for the line in {server_address.auth_file(home)}")
    if mlflow:
        lines.append(f"MLflow's asks for user name and password, which {mlflow_auth_file(home)} holds as user:password")
    return "\n".join([*lines, "Ctrl-C stops both, once no run elsewhere uses them."])


def mlflow_auth_file(home: Path) -> Path:
    """The file in which `gleaner ui` leaves user name and password of its MLflow server."""
    return home / "mlflow.auth"


@contextmanager
def mlflow_pages(root: Path) -> Iterator[tuple[str, subprocess.Popen[bytes] | None]]:
    """Run a block with MLflow's pages; yields their address, and the server if this command started one."""
    from tasks import registry

    store = registry.store_uri(root)
    if store.startswith("http"):
        yield without_credentials(store), None
        return
    registry.connect(root)  # the server's workers would create the database all at once
    port = prefect_server.free_port(PORTS["mlflow"])
    url = f"http://127.0.0.1:{port}"
    home = Path(os.environ["PREFECT_HOME"])
    credentials = server_address.new_credentials()
    secrets = {registry.MLFLOW_CREDENTIALS: credentials, registry.MLFLOW_STORE: store}
    process = prefect_server.spawn_module(["tasks.registry.guarded_mlflow", str(port)], home / "mlflow.log", secrets)
    try:
        while process.poll() is None and not is_page_served(url):
            time.sleep(0.1)
        server_address.write_secret(mlflow_auth_file(home), credentials)
        yield url, process
    finally:
        mlflow_auth_file(home).unlink(missing_ok=True)
        prefect_server.stop_server(process)


def is_page_served(url: str) -> bool:
    """Whether a page is served at ``url``; one that asks for a password counts, too."""
    try:
        with urlopen(url, timeout=2):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
