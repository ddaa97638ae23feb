"""An MLflow tracking server on loopback, over HTTP, with the artifacts behind it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import ui
from flows import prefect_server


@contextmanager
def tracking_server(folder: Path, store: Path) -> Iterator[str]:
    """Run a server for the block, whose database begins as a copy of ``store``; yields its address."""
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(store.read_bytes())
    port = prefect_server.free_port()
    options = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--host", "127.0.0.1", "--port", str(port)]
    artifact_options = ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prefect_server.SETTINGS.items():
            patch.setenv(name, value)
        process = prefect_server.spawn_module(["mlflow", "server", *options, *artifact_options], folder / "log")
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not ui.is_page_served(url):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        prefect_server.stop_server(process)
