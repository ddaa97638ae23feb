"""The automation that marks nights as crashed whose machine died, on a real Prefect server."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows import automations
from flows.automations import FILE, apply_automations, automations_file, read_automations
from pipeline.core.errors import UserError
from pipeline.core.yaml_file import read_yaml
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
SHORT = 10  # seconds; the least that Prefect takes
# A night that lives sends a heartbeat each second here; Prefect's own setting takes 30 seconds and more.
FLOW = """
import sys, time
from pathlib import Path
from prefect import flow, flow_engine
from prefect.states import Completed

flow_engine.MINIMUM_HEARTBEAT_INTERVAL = 1
flow_engine.BaseFlowRunEngine.heartbeat_seconds = property(lambda engine: 1)

@flow(name={name!r}, persist_result=False)
def night(stop: str):
    while not Path(stop).exists():
        time.sleep(0.1)
    return Completed(name="Promoted")
"""


@pytest.fixture
def client(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the tests' server, which the environment names as well."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    settings = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), get_client(sync_client=True) as opened:
        yield opened


def project(folder: Path, before: str = "", after: str = "") -> Path:
    """A folder with this project's automations.yaml, in which one text is replaced."""
    text = (ROOT / FILE).read_text()
    assert before in text
    (folder / FILE).write_text(text.replace(before, after))
    return folder


@contextmanager
def at_work(client: Any, folder: Path, name: str, deployed: str) -> Iterator[tuple[Any, Any, subprocess.Popen[bytes]]]:
    """A run of a flow ``name`` at work in one process, without a worker; yields deployment, run and process."""
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions

    code = folder / f"{deployed}.py"
    code.write_text(FLOW.format(name=name))
    deployment = client.create_deployment(
        client.create_flow_from_name(name),
        f"{deployed} of {folder.name}",
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    )
    run = request_run(client, deployment, folder / f"{deployed} stop")
    variables = {"PREFECT__FLOW_ENTRYPOINT": f"{code}:night", "PREFECT_HOME": str(folder / ".prefect")}
    command = [sys.executable, "-m", "prefect.engine", str(run)]
    with (folder / f"{deployed}.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        wait_for(lambda: client.read_flow_run(run).state.is_running(), 60)
        yield deployment, run, process
    finally:
        process.kill()
        process.wait()


def request_run(client: Any, deployment: Any, stop: Path) -> Any:
    """Create a run that ends when ``stop`` is there, and ask for its slot, as a worker does; returns its id."""
    from prefect.states import Pending

    pending: Any = Pending()
    run = client.create_flow_run_from_deployment(deployment, parameters={"stop": str(stop)}).id
    client.set_flow_run_state(run, pending)
    return run


@pytest.mark.slow
def test_a_night_whose_process_was_killed_is_marked_as_crashed_and_a_living_one_is_not(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automations, "require_frequent_heartbeats", lambda *_: None)  # FLOW sends one each second
    apply_automations(project(tmp_path, "within: 540", f"within: {SHORT}"))
    with (
        at_work(client, tmp_path, "retrain", "ended") as (_, ended, _),
        at_work(client, tmp_path, "retrain", "dead") as (deployment, dead, process),
        at_work(client, tmp_path, "retrain", "living") as (_, living, _),
        at_work(client, tmp_path, "another", "foreign") as (_, foreign, another_process),
    ):
        (tmp_path / "ended stop").touch()
        assert wait_for(lambda: finished_state(client, ended), 60).name == "Promoted"
        assert client.read_flow_run(request_run(client, deployment, tmp_path)).state.is_cancelled()  # no slot is free
        for victim in (process, another_process):
            victim.kill()
        killed = time.monotonic()
        state = wait_for(lambda: finished_state(client, dead), 6 * SHORT)
        assert state.is_crashed() and "no heartbeat any more" in state.message
        assert time.monotonic() - killed >= SHORT - 2  # of the last heartbeat, at most a second before its end
        assert client.read_flow_run(request_run(client, deployment, tmp_path)).state.is_pending()  # the slot is free
        assert client.read_flow_run(foreign).state.is_running()  # on a shared server only nights are watched
        assert client.read_flow_run(living).state.is_running()
        assert client.read_flow_run(ended).state.name == "Promoted"  # its end counts, though no heartbeat follows


def finished_state(client: Any, run: Any) -> Any:
    """The final state of a run; None while it has none."""
    state = client.read_flow_run(run).state
    return state if state.is_final() else None


@pytest.mark.slow
def test_applying_twice_leaves_one_automation_with_the_later_values(client: Any, tmp_path: Path) -> None:
    (name,) = [automation.name for automation in read_automations(ROOT)]
    for within in (600, 700):
        assert apply_automations(project(tmp_path, "within: 540", f"within: {within}")) == 1
    found = client.read_automations_by_name(name)
    assert [automation.trigger.within.total_seconds() for automation in found] == [700]


def test_a_project_older_than_the_file_has_that_of_the_installed_gleaner(tmp_path: Path) -> None:
    assert automations_file(tmp_path) == ROOT / FILE
    assert automations_file(project(tmp_path)) == tmp_path / FILE


def test_the_time_of_the_file_is_three_of_prefects_heartbeats() -> None:
    from prefect.settings.models.flows import FlowsSettings

    (automation,) = read_yaml(ROOT / FILE)
    assert automation["trigger"]["within"] == 3 * FlowsSettings.model_fields["heartbeat_frequency"].default


def test_heartbeats_that_are_too_rare_are_refused(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 300}), pytest.raises(UserError) as error:
        apply_automations(project(tmp_path))
    assert "PREFECT_FLOWS_HEARTBEAT_FREQUENCY: expected at most 270 seconds" in str(error.value)
    assert "found 300" in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("within: 540", "within: 5", "found at 0.trigger"),
        ("state: CRASHED", "state: DEAD", "found at 0.actions.0"),
        ("- name: gleaner", "  name: gleaner", "expected a list of automations, found dict"),
    ],
)
def test_a_fault_in_the_file_is_told_with_its_place(tmp_path: Path, before: str, after: str, fault: str) -> None:
    with pytest.raises(UserError) as error:
        read_automations(project(tmp_path, before, after))
    assert fault in str(error.value) and "\n" not in str(error.value)
