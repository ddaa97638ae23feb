"""Whatever ends a flow, its command ends with one line that has the cause, and no text of a row leaves the project.

The traceback is in a file that only this user can read, and that the line names where the cause is not known.
"""

import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.prefect_server import free_port
from flows.server_address import withdraw_announcement
from pipeline.core.params import load_params
from tasks import registry
from tests.support import canary
from tests.support.flow_project import BIN, announce_server, make_project, mlflow_runs, tool_environment

PATIENCE = 120  # seconds in which a command has to end
TEXT = "vireocrash asks for the money back"
# A command in whose process a function raises an error that quotes a row, as many a library does.
CRASHING = """
import sys
from pathlib import Path
from flows import prefect_server
prefect_server.configure_environment(Path.cwd())
prefect_server.find_server()  # before Prefect is imported
import importlib
module, _, name = sys.argv[1].rpartition(".")
def crash(*_, **__):
    raise ValueError("could not convert string to float: {text!r}")
setattr(importlib.import_module(module), name, crash)
sys.argv[1:] = sys.argv[2:]
from cli.__main__ import main
main()
""".replace("{text!r}", repr(TEXT).replace('"', ""))
# `gleaner run` whose own Prefect server is killed while a stage runs.
ABANDONED = """
import os, signal, time
from contextlib import contextmanager
from flows import prefect_server, prefect_session
from cli.__main__ import main
begin, start = prefect_session.running_server, prefect_server.start_server
servers = []
def remember(*args):
    servers.append(start(*args))
    return servers[-1]
prefect_server.start_server = remember
@contextmanager
def patched(root):
    with begin(root) as wait:
        from flows import train
        def kill_server(*_):
            os.killpg(servers[0].pid, signal.SIGKILL)
            servers[0].wait()
            time.sleep(60)  # a stage
        train.run_stages = kill_server
        yield wait
prefect_session.running_server = patched
main()
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on the server that the tests share, before its first run."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = make_project(tmp_path / "project")
    announce_server(root, prefect_server)
    return root


def run_command(root: Path, *words: str, code: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `gleaner` with these words, or code with these arguments, in the project."""
    command = [sys.executable, *(["-m", "cli"] if code is None else ["-c", code]), *words]
    environment = tool_environment(root) | variables
    begin = time.monotonic()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert time.monotonic() - begin < PATIENCE, done.stderr
    return done


def only_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line about the error; there is no traceback beside it."""
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.stderr.rstrip().endswith(line), "it is the last line"
    return line


@contextmanager
def tracking_server(status: int) -> Iterator[str]:
    """The address of a server that answers every request with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(root: Path) -> None:
    registry.connect(root)
    client, name = (
        MlflowClient(f"sqlite:///{root / 'mlflow.db'}"),
        load_params(root / "params.yaml").registry.experiment,
    )
    number = client.create_experiment(name)
    client.delete_experiment(number)
    done = run_command(root, "run")
    assert done.returncode == 2
    assert only_error(done).startswith(
        f"error: registry.experiment: expected an experiment in use, found {name} deleted"
    )
    (command,) = re.findall(r"`(MLFLOW_TRACKING_URI=\S+ mlflow experiments restore [^`]*)`", only_error(done))
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, shell=True, check=True, capture_output=True, cwd=root, env=os.environ | path)
    assert client.get_experiment(number).lifecycle_stage == "active"


def test_a_tracking_server_that_is_gone_or_broken_is_named_soon(root: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    done = run_command(root, "run", MLFLOW_TRACKING_URI=f"http://user:secret@{host}")
    assert done.returncode == 2 and "secret" not in done.stderr
    expected = f"error: MLFLOW_TRACKING_URI: expected an MLflow server that answers at http://{host}, found none "
    assert only_error(done).startswith(f"{expected}(connection refused); start it, or correct or unset the variable")
    with tracking_server(500) as broken:
        done = run_command(root, "run", MLFLOW_TRACKING_URI=broken, MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
    assert done.returncode == 2 and f"at {broken}, found HTTP 500; start it" in only_error(done)


def test_a_store_that_is_no_database_is_named(root: Path) -> None:
    (root / "mlflow.db").write_text("this is no database, but long enough to be a page of one " * 40)
    done = run_command(root, "history")
    assert done.returncode == 2
    expected = "mlflow.db: expected MLflow's database, readable and writable, found: file is not a database; restore "
    assert expected in only_error(done)


@pytest.mark.parametrize(
    ("words", "function", "file"),
    [
        ("run", "flows.train.run_stages", "train"),
        ("run", "tasks.stage.is_up_to_date", "run_stage"),
        ("retrain", "tasks.refresh.track_arrivals", "take_in_texts"),
    ],
    ids=["a flow", "a task", "a night"],
)
def test_a_crash_is_one_line_and_its_traceback_a_file_of_this_user(
    root: Path, words: str, function: str, file: str
) -> None:
    """The environment names proxies that do not answer: nothing on loopback asks them."""
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = run_command(root, function, *words.split(), code=CRASHING, **dead)
    crash = root / "data" / "scratch" / file / "crash.txt"
    assert done.returncode == 1, done.stdout + done.stderr
    printed = done.stdout + done.stderr
    assert f"ValueError; its message may quote a row, so it is in {crash}" in printed and "Traceback" not in printed
    assert TEXT in crash.read_text() and stat.S_IMODE(crash.stat().st_mode) == 0o600
    assert TEXT not in printed
    files = [path for path in [*root.rglob("*"), *Path(os.environ["PREFECT_HOME"]).rglob("*")] if path.is_file()]
    files = [path for path in files if path != crash and root / "pipeline" not in path.parents]
    assert {"prefect.db", "mlflow.db"} <= {path.name for path in files}
    assert canary.find_words(("vireocrash",), files) == {"vireocrash": set()}
    assert mlflow_runs(root)[0].info.status == "FAILED"


def test_a_prefect_server_that_dies_in_the_middle_ends_the_run_soon_in_one_line(root: Path) -> None:
    withdraw_announcement(root / ".prefect")  # the command starts a server of its own
    done = run_command(root, "run", code=ABANDONED)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected the Prefect server at http://127.0.0.1:" in only_error(done)
    assert "View at" not in done.stderr, "the page ends with the command"
    assert mlflow_runs(root)[0].info.status == "KILLED"
