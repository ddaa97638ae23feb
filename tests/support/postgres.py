"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, run by an unprivileged user, on loopback."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from flows.prefect_server import free_port
from tasks.processes.process import bound_to_parent

USER = "gleaner"  # of the database
SYSTEM_USER = "postgres"  # PostgreSQL refuses to be run by root; Debian's package brings this one
PLACES = "/usr/lib/postgresql"  # where Debian keeps each version's programs


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None without one."""
    found = sorted(Path(PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).resolve().parent if there else None


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a server with no database in it yet: ``USER:password@127.0.0.1:port``."""
    bin_, password = programs(), secrets.token_hex(16)
    assert bin_ is not None
    folder = Path(tempfile.mkdtemp(prefix="gleaner-postgres-"))
    secret = folder / "password"
    secret.write_text(password)
    own(folder, secret)
    data, port = folder / "data", free_port()
    made = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
    subprocess.run(
        as_user([f"{bin_}/initdb", *made, "--locale=C.UTF-8", str(data)]), check=True, capture_output=True, cwd=folder
    )
    secret.unlink()
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            bound_to_parent(as_user([f"{bin_}/postgres", "-D", str(data), *options])),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"{USER}:{password}@127.0.0.1:{port}"
    try:
        wait(address, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGINT)  # ends its sessions, too
        server.wait(30)
        if server.stdin:
            server.stdin.close()
        shutil.rmtree(folder)


def own(*paths: Path) -> None:
    """Give files to the user who runs the server, where that is another one."""
    if os.geteuid() == 0:
        about = pwd.getpwnam(SYSTEM_USER)
        for path in paths:
            os.chown(path, about.pw_uid, about.pw_gid)


def as_user(command: list[str]) -> list[str]:
    """The command as that user runs it."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--clear-groups", *command]


def wait(address: str, log: Path) -> None:
    """Return once the server lets one in."""
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://{address}/postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def create(address: str, *names: str) -> None:
    """Make databases."""
    with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]


def ask(address: str, database: str, question: str) -> list[tuple[object, ...]]:
    """Rows that a query finds."""
    with psycopg.connect(f"postgresql://{address}/{database}") as connection:
        return connection.execute(question).fetchall()  # type: ignore[call-overload, no-any-return]
