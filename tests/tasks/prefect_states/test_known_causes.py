"""An exception becomes one line: its cause and what to do where that is known, else where the traceback is."""

import errno
import os
import sqlite3
from pathlib import Path

import httpx
import pytest
from mlflow.exceptions import MlflowException

from pipeline.core.errors import UserError, WithheldError
from tasks import registry
from tasks.prefect_states.known_causes import explain, known_cause, message_of

SERVER = "http://127.0.0.1:5000"


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a tracking server with a password."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:5000")


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("failed with exception ... [Errno 111] Connection refused", "none (connection refused); start it"),
        ("failed with exception ... Failed to resolve 'mlflow.example'", "no such host; start it"),
        ("failed with exception ... Read timed out. (read timeout=120)", "none in time; start it"),
        (
            "failed with exception ... Unable to connect to proxy",
            "a proxy that does not answer; add the host to NO_PROXY",
        ),
        ("failed with exception ... ResponseError('too many 503 error responses')", "HTTP 503; start it"),
        ("API request failed with error code 401 != 200. Response body: ''", "HTTP 401; set MLFLOW_TRACKING_USERNAME"),
        ("... but the response body was not in a valid JSON format. Response body: 'hi'", "another server; correct"),
    ],
)
def test_a_tracking_server_is_named_with_what_is_wrong_and_without_its_password(
    tracking: None, message: str, found: str
) -> None:
    cause = str(known_cause(MlflowException(message)))
    assert cause.startswith(f"MLFLOW_TRACKING_URI: expected an MLflow server that answers at {SERVER}, found {found}")
    assert "secret" not in cause


@pytest.mark.parametrize("content", [b"this is no database, but long enough for one page of it " * 40, None])
def test_a_broken_store_is_named_with_what_to_do(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(content or store.read_bytes()[:20000])
    with pytest.raises(Exception) as caught:
        registry.connect(tmp_path)
    cause = str(explain(caught.value, tmp_path / "crash.txt"))
    assert cause.startswith(f"{tmp_path}/mlflow.db: expected MLflow's database, readable and writable, found: ")
    assert "; restore mlflow.db from a backup" in cause and not (tmp_path / "crash.txt").exists()


def test_a_database_error_outside_mlflow_is_not_its_stores() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect("/nowhere/at/all.db")
    assert known_cause(caught.value) is None


def test_a_prefect_server_that_is_gone_is_told_from_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    request = httpx.Request("GET", "http://127.0.0.1:4200/api/flows")
    gone = httpx.ConnectError("[Errno 111] Connection refused", request=request)
    assert str(known_cause(gone)).startswith(
        "expected the Prefect server at http://127.0.0.1:4200/api to answer, found"
    )
    other = httpx.ConnectError("refused", request=httpx.Request("GET", "https://hub.example/model"))
    assert known_cause(other) is None


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "free some"), (errno.EACCES, "(`chmod`, `chown`)")])
def test_a_file_that_cannot_be_written_is_named(number: int, remedy: str) -> None:
    cause = str(known_cause(OSError(number, os.strerror(number), "/data/mlruns/0/x")))
    assert cause.startswith("expected to use /data/mlruns/0/x, found no ") and remedy in cause


def test_a_disk_on_which_not_even_the_traceback_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "crash.txt"  # no folder, as on a disk that takes nothing more
    full = explain(OSError(errno.ENOSPC, "No space left on device", "/data/model"), path)
    assert str(full).startswith("expected to use /data/model, found no space left on the disk; free some")
    assert "traceback" not in str(full)
    shown = explain(ValueError("my parcel"), path)
    assert isinstance(shown, WithheldError) and "my parcel" not in str(shown) and "cannot be written" in str(shown)


def test_what_is_unknown_is_withheld_unless_it_can_quote_no_row(tmp_path: Path) -> None:
    path = tmp_path / "crash.txt"
    shown = explain(ValueError("could not convert string to float: 'my parcel'"), path)
    assert isinstance(shown, WithheldError) and "my parcel" not in message_of(shown, path)
    assert str(path) in message_of(shown, path) and "my parcel" in path.read_text()
    assert explain(shown, tmp_path / "other.txt") is shown and not (tmp_path / "other.txt").exists()
    system = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert explain(system, path) is system, "tasks are tried again after such an error"
    assert message_of(system, path).startswith("error: expected no fault, found ConnectionResetError: [Errno ")
    mistake = UserError("gate.typo: expected no such key")
    assert explain(mistake, path) is mistake and message_of(mistake, path) == f"error: {mistake}"
