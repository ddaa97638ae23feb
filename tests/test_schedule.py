"""The deployment of prefect.yaml on a real server: its night begins by the clock, a second one then is cancelled."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import month_project
import pytest
from flow_project import environment

from pipeline.params import load

ROOT = Path(__file__).parent.parent
NIGHTLY, MINUTELY = "0 2 * * *", "* * * * *"


def until(found: Callable[[], Any], seconds: float = 120) -> Any:
    """What is found within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (one := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return one


@pytest.mark.slow
def test_a_night_begins_when_it_is_due_and_a_second_one_is_cancelled_meanwhile(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = month_project.make(tmp_path)
    given = (ROOT / "prefect.yaml").read_text()
    assert NIGHTLY in given
    (root / "prefect.yaml").write_text(given.replace(NIGHTLY, MINUTELY))  # so that the test need not wait for the night
    known = environment(root) | {"PREFECT_API_URL": prefect_server, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PREFECT_HOME", str(root / ".prefect"))
    log = (root / "schedule.log").open("w")
    served = subprocess.Popen(
        [sys.executable, "-m", "flows", "schedule"], cwd=root, stdout=log, stderr=subprocess.STDOUT, env={**os.environ}
    )
    try:
        until(lambda: f"Nights:  {MINUTELY}" in (root / "schedule.log").read_text() or served.poll() is not None)
        assert served.poll() is None, (root / "schedule.log").read_text()
        first, second = nights(prefect_server)
    finally:
        served.terminate()
        assert served.wait(30) == 0
        log.close()
    assert (first.state.name, first.state.message) == ("Promoted", "no champion yet")
    assert second.state.is_cancelled() and "concurrency limit" in second.state.message
    from tasks.registry import nights as records

    rows = records.nights(root, load(root / "params.yaml"))
    assert [(row["outcome"], row["version"]) for row in rows] == [("promoted", "1")]


def nights(url: str) -> tuple[Any, Any]:
    """Wait for the night that is due, ask for another once it is at work, and wait for both."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Scheduled

    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as opened:
        client: Any = opened
        made = client.read_deployment_by_name("retrain/nightly")
        assert made.global_concurrency_limit.limit == 1
        assert made.concurrency_options.collision_strategy == "CANCEL_NEW"
        assert [one.schedule.cron for one in made.schedules] == [MINUTELY]

        def ask() -> Any:
            state: Any = Scheduled(scheduled_time=datetime.now(UTC))
            return client.create_flow_run_from_deployment(made.id, state=state).id

        def ended(id: Any) -> Any:
            run = client.read_flow_run(id)
            return run if run.state.is_final() else None

        def at_work() -> Any:
            begun = [run for run in client.read_flow_runs() if run.deployment_id == made.id and run.state.is_running()]
            return begun[0].id if begun else None

        first = until(at_work)
        client.update_deployment_schedule(made.id, made.schedules[0].id, active=False)  # no night after this one
        second = ask()
        return until(lambda: ended(first)), until(lambda: ended(second))
