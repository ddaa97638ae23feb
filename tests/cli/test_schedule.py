"""The deployment of prefect.yaml on a real server: nights by the clock, one at a time, none lost to a crash."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.states import Scheduled

from flows.automations import read_automations
from flows.night_lock import is_night_running
from pipeline.core.params import load_params
from tasks.registry import nights
from tests.support import month_project
from tests.support.flow_project import tool_environment
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
NIGHTLY, MINUTELY = "0 2 * * *", "* * * * *"


@pytest.fixture
def root(tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with quick stages, and the deployment and automations of this project."""
    root = month_project.make_project(tmp_path)
    for name in ("prefect.yaml", "automations.yaml"):
        (root / name).write_text((ROOT / name).read_text())
    client = {"PREFECT_API_URL": prefect_server, "PREFECT_API_AUTH_STRING": os.environ["PREFECT_API_AUTH_STRING"]}
    variables = tool_environment(root) | client | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PREFECT_HOME", str(root / ".prefect"))
    return root


@pytest.fixture
def client(prefect_server: str) -> Iterator[Any]:
    """A client of the server on which the nights run."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    settings = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), get_client(sync_client=True) as opened:
        yield opened


@contextmanager
def schedule(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run `gleaner schedule` for the block; yields its process and its log. It ends with 0 unless it was killed."""
    log = root / "schedule.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "cli", "schedule"]
        process = subprocess.Popen(command, cwd=root, stdout=out, stderr=subprocess.STDOUT, env={**os.environ})
    try:
        wait_for(lambda: "Nights:  " in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process, log
    finally:
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGKILL)


def deployment(client: Any) -> Any:
    """The deployment in the server's database."""
    return client.read_deployment_by_name("retrain/nightly")


def request_night(client: Any) -> Any:
    """Request a night now; returns the id of its flow run."""
    state: Any = Scheduled(scheduled_time=datetime.now(UTC))
    return client.create_flow_run_from_deployment(deployment(client).id, state=state).id


def wait_for_night(client: Any, number: Any) -> Any:
    """Wait until a night has ended; returns its flow run."""

    def ended_run() -> Any:
        run = client.read_flow_run(number)
        return run if run.state.is_final() else None

    return wait_for(ended_run)


@pytest.mark.slow
def test_a_night_begins_when_it_is_due_and_a_second_one_at_that_time_is_cancelled(root: Path, client: Any) -> None:
    deployments = (root / "prefect.yaml").read_text()
    assert NIGHTLY in deployments
    (root / "prefect.yaml").write_text(deployments.replace(NIGHTLY, MINUTELY))  # the test cannot wait a day
    with schedule(root):
        nightly = deployment(client)
        assert nightly.global_concurrency_limit.limit == 1
        assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"
        assert [schedule.schedule.cron for schedule in nightly.schedules] == [MINUTELY]

        def running_night() -> Any:
            runs = [run for run in client.read_flow_runs() if run.deployment_id == nightly.id]
            return next((run.id for run in runs if run.state.is_running()), None)

        number = wait_for(running_night)
        client.update_deployment_schedule(nightly.id, nightly.schedules[0].id, active=False)  # no night after this one
        second, first = wait_for_night(client, request_night(client)), wait_for_night(client, number)
    assert (first.state.name, first.state.message) == ("Promoted", "no champion yet")
    assert second.state.is_cancelled() and "concurrency limit" in second.state.message
    rows = nights.all_nights(root, load_params(root / "params.yaml"))
    assert [(row["outcome"], row["version"]) for row in rows] == [("promoted", "1")]


@pytest.mark.slow
def test_a_night_that_died_with_its_machine_does_not_block_the_next(root: Path, client: Any) -> None:
    with schedule(root) as (process, _):
        number = request_night(client)
        wait_for(lambda: client.read_flow_run(number).state.is_running() and is_night_running(root))
        command = psutil.Process(process.pid)
        for victim in [command, *command.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        wait_for(lambda: not is_night_running(root))
    assert client.read_flow_run(number).state.is_running()  # no process was left to report it to the server
    with schedule(root) as (_, log):
        assert "1 night(s) died with their machine or worker: marked as crashed" in log.read_text()
        (automation,) = read_automations(root)
        assert len(client.read_automations_by_name(automation.name)) == 1  # for those that die from now on
        assert client.read_flow_run(number).state.is_crashed()
        assert wait_for_night(client, request_night(client)).state.name == "Promoted"


@pytest.mark.slow
def test_the_worker_runs_no_command_that_somebody_else_deployed(root: Path, client: Any, tmp_path: Path) -> None:
    """Three ways in: a deployment of one's own, a run of ours with a command, and ours with another first step."""
    marker = tmp_path / "executed"
    command = {"command": f"touch {marker}"}
    state: Any = Scheduled(scheduled_time=datetime.now(UTC))
    with schedule(root):
        nightly = deployment(client)
        foreign = client.create_deployment(
            nightly.flow_id,
            "foreign",
            work_pool_name="gleaner",
            entrypoint=nightly.entrypoint,
            path=str(root),
            job_variables=command,
        )
        runs: list[tuple[Any, dict[str, Any]]] = [
            (foreign, {}),
            (nightly.id, {"job_variables": command}),
            (nightly.id, {"parameters": {"root": str(tmp_path), "force": False}}),
        ]
        states = []
        for number, options in runs:  # one after the other: prefect.yaml allows one at a time
            run = client.create_flow_run_from_deployment(number, state=state, **options)
            states.append(wait_for_night(client, run.id).state)
    assert [(state.is_cancelled(), state.message) for state in states] == [
        (True, "not run: its deployment is not of prefect.yaml"),
        (True, "not run: it brings job variables of its own"),
        (True, "not run: its parameter root is not that of prefect.yaml"),
    ]
    assert not marker.exists()
