"""A night as its container runs it: the entry point in a fresh clone, with a DVC remote and MLflow elsewhere."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.workers.base import BaseJobConfiguration

from pipeline.core.params import load_params
from tasks.registry import nights
from tests.support import month_project
from tests.support.flow_project import BIN, ROOT, tool_environment
from tests.support.real_project import git, set_params
from tests.support.tracking_server import tracking_server
from tests.test_deploy_nights import CONTAINER, DEPLOY, ENTRY, KINDS, VOLUME

TEXT = "my phone fell into the water"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose DVC remote and git remote are folders outside it, as if they were on a network."""
    (tmp_path / "author").mkdir()
    root = month_project.make_project(tmp_path / "author")
    set_params(root, registry={"push": True}, refresh={"commit": True})
    with (root / ".dvc" / "config").open("a") as config:
        config.write(f"[core]\n    remote = far\n['remote \"far\"']\n    url = {tmp_path / 'remote'}\n")
    git(root, "commit", "-q", "-am", "a remote")
    git(tmp_path, "clone", "-q", "--bare", str(root), "origin.git")
    return root


class Container:
    """What stands in for the container of a night: the entry point as a process with the variables of the image."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.volume, self.home = folder / "volume", folder / "home"
        self.root = self.volume / "project"
        self.volume.mkdir()
        self.home.mkdir()
        (folder / "nights.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        image = dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", CONTAINER, re.MULTILINE))))
        here = {
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "HOME": str(self.home),
            "PYTHONPATH": tool_environment(folder)["PYTHONPATH"],  # Gleaner is not installed in a folder of its own
            "GLEANER_SETTINGS": str(folder / "nights.env"),
            "GLEANER_PROJECT": str(self.root),
        }
        self.environment = image | here

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a worker's container would."""
        environment = self.environment | variables | {"PREFECT_HOME": str(self.home / "prefect")}
        return subprocess.run(
            [str(ENTRY), *command], env=environment, capture_output=True, text=True, timeout=300, check=False
        )


async def requested_night(url: str) -> tuple[Any, BaseJobConfiguration]:
    """Request a night now; returns the id of its flow run, and the job that a worker makes of it."""
    settings = {PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings):
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("retrain/nightly-docker")
            run = await client.create_flow_run_from_deployment(deployment.id)
            pool = await client.read_work_pool("gleaner-docker")
            job = await BaseJobConfiguration.resolve_for_flow_run(
                run, client=client, work_pool=pool, worker_name="test", deployment=deployment
            )
    return run.id, job


async def last_state(url: str, number: Any) -> Any:
    """The state of a flow run."""
    settings = {PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings):
        async with get_client() as client:
            return (await client.read_flow_run(number)).state


def night(url: str, container: Container) -> Any:
    """One night, whose container is made of what a worker reads from the server; returns the state of its flow run."""
    number, job = asyncio.run(requested_night(url))
    done = container.run(*shlex.split(str(job.command)), **{name: str(value) for name, value in job.env.items()})
    assert done.returncode == 0, done.stdout + done.stderr
    return asyncio.run(last_state(url, number))


@pytest.mark.slow
@pytest.mark.weekly
def test_a_night_runs_from_a_clone_and_what_arrived_outlives_the_volume(
    tmp_path: Path, project: Path, store: Path, prefect_server: str
) -> None:
    deploy(tmp_path, prefect_server)
    origin = tmp_path / "origin.git"
    with tracking_server(tmp_path / "server", store) as tracking:
        container = Container(tmp_path, {"GLEANER_REPOSITORY": str(origin), "MLFLOW_TRACKING_URI": tracking})
        assert container.run("true").returncode == 0  # the clone
        (container.root / "inbox" / "texts" / "monday.csv").write_text(f"text\n{TEXT}\n")
        state = night(prefect_server, container)
        assert (state.name, state.message) == ("Promoted", "no champion yet")
        assert not (container.root / "mlflow.db").exists()
        shutil.rmtree(container.volume)
        container.volume.mkdir()
        assert container.run("true").returncode == 0  # a new clone, as on another machine
        (arrived,) = (container.root / "arrivals").glob("*.parquet")
        assert pd.read_parquet(arrived)["text"].tolist() == [TEXT]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", tracking)
            rows = nights.all_nights(container.root, load_params(container.root / "params.yaml"))
        assert [(row["outcome"], row["version"]) for row in rows] == [("promoted", "1")]


def deploy(folder: Path, url: str) -> None:
    """Make the work pools and the deployments as the page says, with a folder in place of the volume."""
    file = folder / "nights.yaml"
    file.write_text((DEPLOY / "nights.yaml").read_text().replace(VOLUME, str(folder / "volume")))
    variables = os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(folder / "prefect")}
    words = [["deploy", "--prefect-file", str(file), "--all"]]
    for kind in KINDS:
        template = ["--base-job-template", str(DEPLOY / f"{kind}-pool.json")]
        words.insert(0, ["work-pool", "create", f"gleaner-{kind}", "--type", kind, *template])
    for command in words:
        subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", *command], cwd=ROOT, env=variables, check=True)
