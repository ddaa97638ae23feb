"""The command `gleaner schedule`: deploy prefect.yaml and automations.yaml, and run a worker, until Ctrl-C."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cli.ui import PORTS, page_of, password_text
from flows import prefect_server
from flows.automations import apply_automations
from flows.crashed_runs import mark_crashed_runs
from flows.prefect_pages import prefect_pages
from pipeline.core.errors import UserError
from pipeline.core.params import load_params, read_yaml


def main(root: Path) -> int:
    """Run the nights until interrupted.

    Exit code 0 after Ctrl-C, 1 when the worker or the server ends by itself, 2 user error.
    """
    load_params(root / "params.yaml")
    prefect_server.configure_environment(root)
    pool = work_pool_name(root)
    home = Path(os.environ["PREFECT_HOME"])
    try:
        with prefect_server.interruptible(), prefect_pages(PORTS["prefect"]) as (address, server):
            run_prefect(root, "work-pool", "create", pool, "--type", "process", "--overwrite")
            run_prefect(root, "--no-prompt", "deploy", "--all")
            apply_automations(root)
            if crashed := mark_crashed_runs(root, [str(deployment.get("name")) for deployment in deployments(root)]):
                print(f"{crashed} night(s) died with their machine or worker: marked as crashed")
            worker = prefect_server.spawn_module(["flows.schedule_worker", pool], home / "worker.log")
            try:
                print(
                    f"Prefect: {page_of(address)}\nWorker:  {home / 'worker.log'}\nNights:  {schedules_text(root)}\n"
                    f"{password_text(server, None)}",
                    flush=True,
                )
                while worker.poll() is None and (server is None or server.poll() is None):
                    time.sleep(0.5)
            finally:
                prefect_server.stop_server(worker)
    except KeyboardInterrupt:
        return 0
    message = f"error: expected worker and server to run until Ctrl-C, found that one ended; see the logs in {home}"
    print(message, file=sys.stderr)
    return 1


def work_pool_name(root: Path) -> str:
    """The work pool that prefect.yaml names; raises UserError unless it names exactly one."""
    pools = {deployment.get("work_pool", {}).get("name") for deployment in deployments(root)}
    if len(pools) != 1 or None in pools:
        raise UserError(
            f"prefect.yaml: expected deployments with one work_pool.name, found {len(pools)}; name the same"
        )
    return str(pools.pop())


def deployments(root: Path) -> list[dict[str, Any]]:
    """The deployments of prefect.yaml."""
    return list(read_yaml(root / "prefect.yaml").get("deployments") or [])


def schedules_text(root: Path) -> str:
    """The schedules of prefect.yaml, as they are written there."""
    schedules = [
        str(schedule.get("cron")) for deployment in deployments(root) for schedule in deployment.get("schedules") or []
    ]
    return ", ".join(schedules) or "none scheduled"


def run_prefect(root: Path, *words: str) -> None:
    """Run a command of Prefect; raises UserError with its last line where it fails."""
    env = {**os.environ, "PWD": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["nothing said"]
        raise UserError(f"prefect.yaml: expected `prefect {' '.join(words)}` to work, found: {lines[-1]}")
