"""The worker of `gleaner schedule`: Prefect's process worker, which runs nothing but the deployments of prefect.yaml.

    python -m flows.schedule_worker POOL

A deployment, a run or a work pool may each name a command that the worker executes. Whoever can write to the server
could thus run commands as this user. So a run counts only if its deployment is what `prefect deploy` made of
prefect.yaml when the worker started, and if the run itself names nothing but parameters.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flows import load_flow_from_entrypoint
from prefect.states import Cancelled
from prefect.utilities.processutils import setup_signal_handlers_worker
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from pipeline.core.params import read_yaml

EXECUTED = ("entrypoint", "path", "pull_steps", "job_variables", "storage_document_id", "infrastructure_document_id")
REFUSED = 1  # the exit code that stands for a run that was refused


class ScheduleWorker(ProcessWorker):
    """A process worker that knows the deployments that it may run, by id, and the template of its work pool."""

    def __init__(self, deployments: dict[str, DeploymentResponse], template: dict[str, Any], pool: str) -> None:
        super().__init__(work_pool_name=pool, create_pool_if_not_found=False)
        self.deployments = deployments
        self.template = template

    async def run(
        self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: Any = None
    ) -> ProcessWorkerResult:
        """Run a flow run of prefect.yaml; cancel any other with the reason."""
        reason = await self.refusal(flow_run, configuration)
        if reason is None:
            return await super().run(flow_run, configuration, task_status)
        self._logger.warning("refused the flow run %s: %s", flow_run.id, reason)
        await self.client.set_flow_run_state(flow_run.id, Cancelled(message=f"not run: {reason}"), force=True)
        if task_status is not None:
            task_status.started(REFUSED)
        return ProcessWorkerResult(status_code=REFUSED, identifier="refused")

    async def refusal(self, flow_run: FlowRun, configuration: ProcessJobConfiguration) -> str | None:
        """Why a flow run is not one of prefect.yaml; None if it is one."""
        known = self.deployments.get(str(flow_run.deployment_id))
        if known is None:
            return "its deployment is not of prefect.yaml"
        found = await self.client.read_deployment(known.id)
        changed = [name for name in EXECUTED if getattr(found, name, None) != getattr(known, name, None)]
        if changed:
            return f"its deployment was changed since `gleaner schedule` began: {', '.join(changed)}"
        if flow_run.job_variables:
            return "it brings job variables of its own"
        if flow_run.parameters.get("root") != known.parameters.get("root"):
            return "its parameter root is not that of prefect.yaml"
        if configuration._command_configured or self.work_pool.base_job_template != self.template:
            return "the work pool was changed since `gleaner schedule` began"
        return None


async def read_deployments(client: PrefectClient, root: Path) -> dict[str, DeploymentResponse]:
    """The deployments of prefect.yaml as the server has them, by id."""
    deployments = {}
    for wanted in read_yaml(root / "prefect.yaml").get("deployments") or []:
        flow = await asyncio.to_thread(load_flow_from_entrypoint, wanted["entrypoint"])
        found = await client.read_deployment_by_name(f"{flow.name}/{wanted['name']}")
        deployments[str(found.id)] = found
    return deployments


async def main(pool: str) -> None:
    """Work on a work pool until the process ends."""
    setup_signal_handlers_worker(os.getpid(), "the worker", print)
    async with get_client() as client:
        deployments = await read_deployments(client, Path.cwd())
        template = (await client.read_work_pool(pool)).base_job_template
    await ScheduleWorker(deployments, template, pool).start(printer=print)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
