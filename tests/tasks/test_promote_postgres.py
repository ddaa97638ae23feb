"""Promotion, rollback and a race of two promoters, with MLflow and Prefect both on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from flows import prefect_server
from flows.server_address import ServerAddress, new_credentials
from tasks.registry import connect, promotion_log
from tests.support import postgres
from tests.support.promoting import (
    MODEL,
    champion_version,
    check_race,
    make_project,
    race,
    register_scored,
    run_gleaner,
    set_limits,
    words,
    write_split,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgresql,
    pytest.mark.skipif(postgres.program_folder() is None, reason="PostgreSQL is not installed (Debian: postgresql)"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with a database for MLflow and one for Prefect."""
    with postgres.cluster() as server:
        postgres.create_databases(server, "mlflow", "prefect")
        yield server


@pytest.fixture(scope="module")
def root(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with both stores in PostgreSQL; version 1 is champion, and version 2 is better."""
    root = make_project(tmp_path_factory.mktemp("postgres") / "project")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (prefect_server.SETTINGS | {"PREFECT_HOME": str(root / ".prefect")}).items():
            patch.setenv(name, value)
        patch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg://{address}/mlflow")
        patch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"postgresql+asyncpg://{address}/prefect")
        patch.chdir(root)
        set_limits(root)
        for right in (300, 340):
            register_scored(root, right)
        server = ServerAddress(prefect_server.api_url(prefect_server.free_port()), new_credentials())
        process = prefect_server.start_server(server)
        try:
            prefect_server.wait_until_ready(process, server)
            for name, value in prefect_server.client_settings(server).items():
                patch.setenv(name, value)
            yield root
        finally:
            prefect_server.stop_server(process)


def test_the_commands_promote_and_roll_back(root: Path, address: str) -> None:
    done = run_gleaner(root, "promote")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "Promoted: gleaner-demo version 2 is champion, after version 1" in done.stdout and champion_version(root) == "2"
    )
    back = run_gleaner(root, "rollback", "--reason", "too slow")
    assert (back.returncode, champion_version(root)) == (
        0,
        "1",
    ) and "version 1 is champion, after version 2" in back.stdout
    runs = postgres.query(
        address, "prefect", "SELECT split_part(name, ' ', 1), state_name FROM flow_run ORDER BY created"
    )
    assert runs == [("promote", "Promoted"), ("rollback", "RolledBack")]
    assert postgres.query(address, "prefect", "SELECT DISTINCT key FROM artifact ORDER BY key") == [
        ("promotion",),
        ("rollback",),
    ]
    stored = postgres.query(address, "mlflow", "SELECT version FROM registered_model_aliases WHERE alias = 'champion'")
    assert stored == [(1,)]
    entries = promotion_log.read(connect(root), MODEL).entries
    assert [(entry.action, entry.version) for entry in entries] == [
        ("initial", "1"),
        ("promote", "2"),
        ("rollback", "1"),
    ]


def test_promotions_raced_by_two_processes_have_one_winner_each(root: Path, address: str) -> None:
    postgres.create_databases(address, "race")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg://{address}/race")
        write_split(root, "test", words("t", 400))
        for right in range(100, 400, 50):
            register_scored(root, right)
        check_race(root, 2, 6, race(root, 2, 6))
