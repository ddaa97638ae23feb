"""The deployment of prefect.yaml on a real server: nights by the clock, one at a time, none lost to a crash."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.states import Scheduled

from flows.night_lock import is_night_running
from pipeline.core.params import load_params
from tasks.registry import nights
from tests.support import month_project
from tests.support.flow_project import environment

ROOT = Path(__file__).parents[2]
NIGHTLY, MINUTELY = "0 2 * * *", "* * * * *"


def until(found: Callable[[], Any], seconds: float = 120) -> Any:
    """What is found within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (one := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return one


@pytest.fixture
def root(tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with quick stages and the deployment of this one."""
    root = month_project.make(tmp_path)
    (root / "prefect.yaml").write_text((ROOT / "prefect.yaml").read_text())
    known = environment(root) | {"PREFECT_API_URL": prefect_server, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PREFECT_HOME", str(root / ".prefect"))
    return root


@pytest.fixture
def client(prefect_server: str) -> Iterator[Any]:
    """A client of the server that the nights are on."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as opened:
        yield opened


@contextmanager
def schedule(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`gleaner schedule` for the block, at work, and what it prints; it ends well unless it was killed."""
    log = root / "schedule.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "cli", "schedule"]
        served = subprocess.Popen(command, cwd=root, stdout=out, stderr=subprocess.STDOUT, env={**os.environ})
    try:
        until(lambda: "Nights:  " in log.read_text() or served.poll() is not None)
        assert served.poll() is None, log.read_text()
        yield served, log
    finally:
        served.terminate()
        assert served.wait(30) in (0, -signal.SIGKILL)


def deployment(client: Any) -> Any:
    """The deployment, as the server has it."""
    return client.read_deployment_by_name("retrain/nightly")


def ask(client: Any) -> Any:
    """Ask for a night now; its id."""
    state: Any = Scheduled(scheduled_time=datetime.now(UTC))
    return client.create_flow_run_from_deployment(deployment(client).id, state=state).id


def ended(client: Any, number: Any) -> Any:
    """A night, once it has ended."""

    def found() -> Any:
        run = client.read_flow_run(number)
        return run if run.state.is_final() else None

    return until(found)


@pytest.mark.slow
def test_a_night_begins_when_it_is_due_and_a_second_one_is_cancelled_meanwhile(root: Path, client: Any) -> None:
    given = (root / "prefect.yaml").read_text()
    assert NIGHTLY in given
    (root / "prefect.yaml").write_text(given.replace(NIGHTLY, MINUTELY))  # so that the test need not wait for the night
    with schedule(root):
        made = deployment(client)
        assert made.global_concurrency_limit.limit == 1
        assert made.concurrency_options.collision_strategy == "CANCEL_NEW"
        assert [one.schedule.cron for one in made.schedules] == [MINUTELY]

        def due() -> Any:
            begun = [run for run in client.read_flow_runs() if run.deployment_id == made.id and run.state.is_running()]
            return begun[0].id if begun else None

        number = until(due)
        client.update_deployment_schedule(made.id, made.schedules[0].id, active=False)  # no night after this one
        second, first = ended(client, ask(client)), ended(client, number)
    assert (first.state.name, first.state.message) == ("Promoted", "no champion yet")
    assert second.state.is_cancelled() and "concurrency limit" in second.state.message
    rows = nights.all_nights(root, load_params(root / "params.yaml"))
    assert [(row["outcome"], row["version"]) for row in rows] == [("promoted", "1")]


@pytest.mark.slow
def test_a_night_that_died_with_its_machine_is_in_the_way_of_no_other(root: Path, client: Any) -> None:
    with schedule(root) as (served, _):
        number = ask(client)
        until(lambda: client.read_flow_run(number).state.is_running() and is_night_running(root))
        for process in [psutil.Process(served.pid), *psutil.Process(served.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: not is_night_running(root))
    assert client.read_flow_run(number).state.is_running()  # nobody was left to tell the server
    with schedule(root) as (_, log):
        assert "1 night(s) died with their machine or worker: marked as crashed" in log.read_text()
        assert client.read_flow_run(number).state.is_crashed()
        assert ended(client, ask(client)).state.name == "Promoted"
