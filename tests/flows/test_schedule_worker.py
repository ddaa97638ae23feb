"""Which runs the worker of `gleaner schedule` refuses; tests/cli/test_schedule.py tries it on a real server."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from flows.schedule_worker import ScheduleWorker

POOL: dict[str, Any] = {"job_configuration": {"command": "{{ command }}"}, "variables": {}}


def deployment(**changes: Any) -> Any:
    """A deployment as the server has it."""
    values = {
        "id": uuid4(),
        "entrypoint": "flows/retrain.py:retrain",
        "path": None,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/project"}}],
        "job_variables": {"working_dir": "/project"},
        "parameters": {"root": ".", "force": False},
    }
    return SimpleNamespace(**values | changes)


def refusal(known: Any, found: Any, run: dict[str, Any], has_command: bool = False, template: Any = POOL) -> str | None:
    """Why the worker refuses a run of the deployment ``found`` that was ``known`` when the worker started."""

    async def read_deployment(_: Any) -> Any:
        return found

    async def ask() -> str | None:
        worker = ScheduleWorker({str(known.id): known}, POOL, "gleaner")
        state: Any = worker
        state._client = SimpleNamespace(read_deployment=read_deployment)
        state._work_pool = SimpleNamespace(base_job_template=template)
        values = {"deployment_id": known.id, "job_variables": None, "parameters": {"root": ".", "force": True}} | run
        configuration: Any = SimpleNamespace(_command_configured=has_command)
        flow_run: Any = SimpleNamespace(**values)
        return await worker.refusal(flow_run, configuration)

    return asyncio.run(ask())


def test_a_run_of_prefect_yaml_is_not_refused_whatever_its_other_parameters_are() -> None:
    known = deployment()
    assert refusal(known, known, {}) is None


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"deployment_id": uuid4()}, "its deployment is not of prefect.yaml"),
        ({"deployment_id": None}, "its deployment is not of prefect.yaml"),
        ({"job_variables": {"command": "true"}}, "it brings job variables of its own"),
        ({"job_variables": {"env": {"PYTHONPATH": "/tmp"}}}, "it brings job variables of its own"),
        ({"parameters": {"root": "/tmp"}}, "its parameter root is not that of prefect.yaml"),
        ({"parameters": {}}, "its parameter root is not that of prefect.yaml"),
    ],
)
def test_a_run_that_brings_more_than_parameters_is_refused(run: dict[str, Any], reason: str) -> None:
    known = deployment()
    assert refusal(known, known, run) == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"job_variables": {"command": "true"}},
        {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "true"}}]},
        {"entrypoint": "other.py:flow"},
        {"path": "/tmp"},
    ],
)
def test_a_deployment_that_was_changed_is_refused(changes: dict[str, Any]) -> None:
    known = deployment()
    found = deployment(id=known.id, **changes)
    reason = f"its deployment was changed since `gleaner schedule` began: {next(iter(changes))}"
    assert refusal(known, found, {}) == reason


def test_a_work_pool_that_was_changed_is_refused() -> None:
    known, reason = deployment(), "the work pool was changed since `gleaner schedule` began"
    assert refusal(known, known, {}, has_command=True) == reason
    assert refusal(known, known, {}, template=POOL | {"job_configuration": {"command": "true"}}) == reason
