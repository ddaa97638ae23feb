"""What `gleaner schedule` does: the deployment of prefect.yaml on a server on loopback, and a worker, until Ctrl-C."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cli.ui import prefect
from flows import prefect_server
from flows.crashed_runs import mark_crashed_runs
from pipeline.core.errors import UserError
from pipeline.core.params import load, read_yaml


def main(root: Path) -> int:
    """Serve the nights until interrupted; 1 when the worker or the server ends by itself, 2 on a user's mistake."""
    load(root / "params.yaml")
    prefect_server.configure(root)
    pool = pool_of(root)
    try:
        with prefect_server.interruptible(), prefect() as (url, own):
            ask(root, "work-pool", "create", pool, "--type", "process", "--overwrite")
            ask(root, "--no-prompt", "deploy", "--all")
            if dead := mark_crashed_runs(root, [str(one.get("name")) for one in deployments(root)]):
                print(f"{dead} night(s) died with their machine or worker: marked as crashed")
            output = Path(os.environ["PREFECT_HOME"]) / "worker.log"
            worker = prefect_server.spawn(["prefect", "worker", "start", "--pool", pool, "--type", "process"], output)
            try:
                print(f"Prefect: {url}\nWorker:  {output}\nNights:  {nights(root)}\nCtrl-C stops both.", flush=True)
                while worker.poll() is None and (own is None or own.poll() is None):
                    time.sleep(0.5)
            finally:
                prefect_server.stop(worker)
    except KeyboardInterrupt:
        return 0
    print(
        f"error: the worker or the server ended by itself; see the logs in {os.environ['PREFECT_HOME']}",
        file=sys.stderr,
    )
    return 1


def pool_of(root: Path) -> str:
    """The one work pool that prefect.yaml names; UserError where it does not."""
    found = {one.get("work_pool", {}).get("name") for one in deployments(root)}
    if len(found) != 1 or None in found:
        raise UserError(
            f"prefect.yaml: expected deployments with one work_pool.name, found {len(found)}; name the same"
        )
    return str(found.pop())


def deployments(root: Path) -> list[dict[str, Any]]:
    """What prefect.yaml deploys."""
    return list(read_yaml(root / "prefect.yaml").get("deployments") or [])


def nights(root: Path) -> str:
    """The schedules, as they are written there."""
    schedules = [str(schedule.get("cron")) for one in deployments(root) for schedule in one.get("schedules") or []]
    return ", ".join(schedules) or "none scheduled"


def ask(root: Path, *words: str) -> None:
    """Run a command of Prefect's; UserError with its last line where it fails."""
    env = {**os.environ, "PWD": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise UserError(
            f"prefect.yaml: expected `prefect {' '.join(words)}` to work, found: {said[-1] if said else 'nothing said'}"
        )
