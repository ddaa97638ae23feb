"""A PostgreSQL server for the tests: a cluster in a temporary folder, run by an unprivileged user, on loopback."""

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
SYSTEM_USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package creates this user
PROGRAM_FOLDER = "/usr/lib/postgresql"  # where Debian puts each version's programs


def program_folder() -> Path | None:
    """The folder with the programs of the newest PostgreSQL; None if there is none."""
    installed = sorted(Path(PROGRAM_FOLDER).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a running server without databases: ``USER:password@127.0.0.1:port``."""
    bin_, password = program_folder(), secrets.token_hex(16)
    assert bin_ is not None
    folder = Path(tempfile.mkdtemp(prefix="gleaner-postgres-"))
    secret = folder / "password"
    secret.write_text(password)
    give_to_server(folder, secret)
    data, port = folder / "data", free_port()
    init_options = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
    subprocess.run(
        as_user([f"{bin_}/initdb", *init_options, "--locale=C.UTF-8", str(data)]),
        check=True,
        capture_output=True,
        cwd=folder,
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
        wait_for_server(address, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGINT)  # it ends its sessions, too
        server.wait(30)
        if server.stdin:
            server.stdin.close()
        shutil.rmtree(folder)


def give_to_server(*paths: Path) -> None:
    """Give files to the user who runs the server, if this process runs as root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(SYSTEM_USER)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def as_user(command: list[str]) -> list[str]:
    """The command line that runs as the server's user."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--clear-groups", *command]


def wait_for_server(address: str, log: Path) -> None:
    """Wait until the server accepts connections."""
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://{address}/postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def create_databases(address: str, *names: str) -> None:
    """Create databases."""
    with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]


def query(address: str, database: str, statement: str) -> list[tuple[object, ...]]:
    """The rows that an SQL query returns."""
    with psycopg.connect(f"postgresql://{address}/{database}") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload, no-any-return]
