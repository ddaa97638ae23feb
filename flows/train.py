"""The training flow: every stage of dvc.yaml, then the gate, then the registry.

gleaner run
"""

from pathlib import Path

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.outcomes import training
from flows.outcomes.training import Training
from pipeline.core.params import load
from pipeline.labelling import arrivals
from pipeline.policies.gate import Verdict
from tasks import registry
from tasks.gate import decide_gate
from tasks.prefect_states.retries import retry_options
from tasks.processes.process import Processes
from tasks.stage import Outcome, graph, run_stage, value


@flow(name="train", task_runner=ThreadPoolTaskRunner(), persist_result=False)  # type: ignore[arg-type]
def train(root: Path) -> State:
    """Bring every stage up to date, judge the result, and register it if it passes."""
    params = load(root / "params.yaml")
    name, number = runtime.flow_run.name, str(runtime.flow_run.id)
    with registry.run(root, params, name, number) as opened, Processes() as processes:
        opened.tag({registry.ARRIVALS: arrivals.latest(params.ingest, root)})
        stages = run_stages(root, opened, processes)
        opened.results(root)
        publish_stages(stages)
        if not all(stage.done for stage in stages):
            opened.failed = True
            return Failed(message="not every stage is up to date", data=Training(stages))
        publish_metrics(root)
        judged = decide_gate(root, params.gate, return_state=True)
        verdict: Verdict = value(judged)
        opened.verdict(verdict)
        publish_verdict(verdict)
        if not judged.is_completed():
            return Failed(name="Refused", message=f"the gate says {verdict.status}", data=Training(stages, verdict))
        register = registry.register.with_options(**retry_options(params, registry.is_passing))
        registered = register(root, params, opened, return_state=True)
        if not registered.is_completed():
            opened.failed = True
            return Failed(message=registered.message, data=Training(stages, verdict, fault=str(registered.message)))
        return Completed(data=Training(stages, verdict, value(registered)))


def run_stages(root: Path, opened: registry.Run, processes: Processes) -> list[Outcome]:
    """Run each stage as soon as those that it needs are done; independent stages run at the same time."""
    futures: dict[str, PrefectFuture[State]] = {}
    for name, needs in graph(root).items():
        stage = run_stage.with_options(name=name, task_run_name=name)
        before = [futures[need] for need in needs]
        futures[name] = stage.submit(name, root, processes, opened.curve, return_state=False, wait_for=before)
    return [outcome(name, future) for name, future in futures.items()]


def outcome(name: str, future: PrefectFuture[State]) -> Outcome:
    """How a stage ended; one whose needs failed was never started."""
    future.wait()
    if future.state.is_final():
        return value(future.state)
    return Outcome(name, "not reached")


def publish_stages(stages: list[Outcome]) -> None:
    """The stage table on the pages of this flow run."""
    create_table_artifact(training.stage_rows(stages), key="stages", description="How each stage ended")


def publish_metrics(root: Path) -> None:
    """Test metrics and group metrics on the pages of this flow run."""
    create_table_artifact(training.metric_rows(root), key="metrics", description="Test split, with baselines")
    groups = training.group_rows(root)
    if groups:
        create_table_artifact(groups, key="groups", description="Test accuracy by group")


def publish_verdict(verdict: Verdict) -> None:
    """The gate's verdict on the pages of this flow run."""
    create_markdown_artifact(training.verdict_text(verdict), key="gate", description="The gate's verdict")
