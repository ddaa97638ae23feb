"""What an exception means to the user: the cause that they can mend in one line, else where the traceback is.

Errors of MLflow, SQLAlchemy and Prefect are recognised by their module and message: this module imports none of them,
because the commands import it before Prefect reads its settings.
"""

import os
import re
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.core.disk_errors import explain_disk_error
from pipeline.core.errors import UserError, WithheldError
from pipeline.core.secrets import without_credentials
from pipeline.core.stage import describe_crash

DATABASE_FAULTS = {  # part of SQLite's or MLflow's message: (found, what to do)
    "file is not a database": ("a file that is none", "restore it from a backup, or move it away to begin anew"),
    "malformed": ("a damaged file", "restore it from a backup, or move it away to begin anew"),
    "unable to open database file": ("a file that cannot be opened", "correct its path or its permissions"),
    "readonly database": ("a file that may not be written", "`chmod` or `chown` it and its folder"),
    "disk is full": ("a full disk", "free some space, then run this again"),
    "disk I/O error": ("a disk that cannot be read or written", "check the disk, then run this again"),
    "database is locked": ("a database that another process keeps locked", "end that process, then run this again"),
    "out-of-date database schema": ("tables of another MLflow", "`mlflow db upgrade` with its address, after a backup"),
    "Can't locate revision": ("tables of a newer MLflow", "install the pinned packages with which it was made"),
}


def explain(error: Exception, path: Path) -> Exception:
    """The error that the user sees in place of ``error``: none of its text is that of a row.

    A `UserError` where they can mend the cause. An error of the operating system, of memory or of imports as it is.
    Else a `WithheldError` that names the file at ``path``, to which the traceback is written.
    """
    if isinstance(error, UserError | WithheldError):
        return error
    whole = describe_crash(error, path)
    where = f" (traceback: {path})" if path.is_file() else ""  # a full disk takes not even that
    if cause := known_cause(error):
        return UserError(f"{cause}{where}")
    return error if quotes_no_row(error) else WithheldError(whole)


def message_of(error: Exception, path: Path) -> str:
    """The line for people about an error that `explain` returned for ``path``."""
    if isinstance(error, UserError):
        return f"error: {error}"
    if isinstance(error, WithheldError):
        return f"error: expected no fault in the program, found {error}; run it again, and report it if it comes back"
    return f"error: expected no fault, found {type(error).__name__}: {first_line(error)}; the traceback is in {path}"


def quotes_no_row(error: Exception) -> bool:
    """Whether the error's message quotes no row: its kind has no value of a table in hand."""
    return isinstance(error, OSError | MemoryError | ImportError)


def known_cause(error: BaseException) -> str | None:
    """What was expected and found, and what to do, for an error whose cause is known; None for any other."""
    origin = type(error).__module__.split(".")[0]
    if origin == "mlflow":
        return store_fault(error)
    if origin in ("sqlalchemy", "sqlite3", "alembic") and comes_through(error, "mlflow"):
        return database_fault(str(error))
    if origin in ("prefect", "httpx", "httpcore"):
        return prefect_fault(error)
    if isinstance(error, OSError):
        return explain_disk_error(error)
    return None


def comes_through(error: BaseException, package: str) -> bool:
    """Whether the error was raised while code of a package was running."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__", "")).split(".")[0] == package for frame, _ in frames)


def store_fault(error: BaseException) -> str | None:
    """The cause of MLflow's error where its store or its server is at fault."""
    message = str(error)
    if fault := database_fault(message):
        return fault
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return None
    expected = f"MLFLOW_TRACKING_URI: expected an MLflow server that answers at {without_credentials(uri)}, found"
    remedy = "start it, or correct or unset the variable"
    if status := re.search(r"too many (\d+) error|error code (\d+) !=", message):
        code = status[1] or status[2]
        if code in ("401", "403"):
            return f"{expected} HTTP {code}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the token"
        if code == "404" and "ENDPOINT_NOT_FOUND" not in str(getattr(error, "error_code", "")):
            return None
        return f"{expected} HTTP {code}; {'correct or unset the variable' if code == '404' else remedy}"
    if "not in a valid JSON format" in message:
        return f"{expected} another server; correct or unset the variable"
    if "unsupported URI" in message or "UnsupportedModelRegistryStoreURI" in type(error).__name__:
        return f"{expected} an address of no kind that MLflow knows; correct or unset the variable"
    if "failed with exception" in message:
        return f"{expected} {connection_fault(message)}; {remedy}"
    return None


def database_fault(message: str) -> str | None:
    """The cause of an error of the database in which MLflow keeps its records."""
    name = without_credentials(os.environ.get("MLFLOW_TRACKING_URI") or "mlflow.db")
    for sign, (found, remedy) in DATABASE_FAULTS.items():
        if sign in message:
            return f"{name}: expected a database that MLflow can read and write, found {found}; {remedy}"
    return None


def connection_fault(message: str) -> str:
    """Why there is no connection, in a few words."""
    signs = {
        "Connection refused": "none (connection refused)",
        "resolve": "no such host",
        "timed out": "none in time",
        "roxy": "a proxy that does not answer; add the host to NO_PROXY where it is not behind the proxy",
        "certificate": "a certificate that is not trusted",
    }
    return next((found for sign, found in signs.items() if sign in message), "a connection that broke")


def prefect_fault(error: BaseException) -> str | None:
    """The cause of an error on the way to the Prefect server."""
    address = os.environ.get("PREFECT_API_URL", "")
    names = {parent.__name__ for parent in type(error).__mro__}
    request = getattr(error, "_request", None)
    if not address or (request is not None and urlsplit(str(request.url)).netloc != urlsplit(address).netloc):
        return None
    expected = f"expected the Prefect server at {without_credentials(address)} to answer, found"
    response = getattr(error, "response", None)
    if response is not None and response.status_code in (401, 403):
        return f"{expected} HTTP {response.status_code}; set PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
    if response is not None and response.status_code >= 500:
        return f"{expected} HTTP {response.status_code}; see its log, then run this again"
    if "TransportError" in names or "Failed to reach API" in str(error):
        return f"{expected} {connection_fault(str(error))}; see its log, then run this again"
    return None


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [""])[0]
