"""The training flow: every stage of dvc.yaml, then the gate, then the registry.

gleaner run
"""

from contextlib import suppress
from pathlib import Path
from typing import cast

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.outcomes import training
from flows.outcomes.training import Training
from pipeline.core.errors import UserError
from pipeline.core.installed import require_pinned_code
from pipeline.core.params import Params, load_params
from pipeline.labelling import arrivals
from pipeline.policies.gate import GateVerdict
from tasks import durations, registry
from tasks.dvc.arrivals import restore_arrivals
from tasks.dvc.graph import stage_graph
from tasks.gate import decide_gate
from tasks.git.project_state import ProjectState, read_state
from tasks.prefect_states.retries import retry_options
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.processes.process import Processes
from tasks.registry import trainings
from tasks.stage import run_stage, state_data
from tasks.stage_outcome import StageOutcome


@flow(name="train", task_runner=ThreadPoolTaskRunner(), persist_result=False)  # type: ignore[arg-type]
@as_failed_state
def train(root: Path) -> State:
    """Bring every stage up to date, apply the gate, and register the model if it passes."""
    start = read_state(root)  # before anything is read that it records
    params = load_params(root / "params.yaml")
    require_pinned_code(root)
    restore_arrivals(root, params)
    warn_without_commit(start)
    name, number = runtime.flow_run.name, str(runtime.flow_run.id)
    with registry.open_run(root, params, name, number) as opened, Processes() as processes:
        trainings.begin_training(opened, arrivals.file_digests(params.ingest, root))
        stages = run_stages(root, params, opened, processes)
        opened.log_results(root)
        publish_stages(stages)
        if not all(stage.done for stage in stages):
            opened.failed = True
            return Failed(message="not every stage is up to date", data=Training(stages))
        publish_metrics(root)
        gate_state = decide_gate(root, params.gate, return_state=True)
        verdict: GateVerdict = result_of(gate_state)
        opened.log_verdict(verdict)
        publish_verdict(verdict)
        if not gate_state.is_completed():
            opened.failed = True
            trainings.finish_training(opened)
            return Failed(name="Refused", message=f"the gate says {verdict.status}", data=Training(stages, verdict))
        register = registry.register.with_options(**retry_options(params, registry.is_push_failure))
        registered = register(root, params, opened, start, [stage.stage for stage in stages], return_state=True)
        if not registered.is_completed():
            if not isinstance(error := state_data(registered), UserError):
                raise error
            opened.failed = True
            return Failed(message=registered.message, data=Training(stages, verdict, fault=str(registered.message)))
        trainings.finish_training(opened)
        return Completed(data=Training(stages, verdict, state_data(registered)))


def warn_without_commit(start: ProjectState) -> None:
    """Say that a version will have no commit and no patch, so that nobody can rebuild its code."""
    if start.head.commit is None:
        get_run_logger().warning("%s: a version is registered without commit and patch", start.head.absence)


def run_stages(root: Path, params: Params, opened: registry.Run, processes: Processes) -> list[StageOutcome]:
    """Run each stage as soon as the stages that it needs are done; independent stages run at the same time.

    After ingest, which counts the rows and which all others need, the log says about how long the others will take.
    """
    futures: dict[str, PrefectFuture[State]] = {}
    graph = stage_graph(root)
    for name, needs in graph.items():
        stage = run_stage.with_options(name=name, task_run_name=name)
        before = [futures[need] for need in needs]
        futures[name] = stage.submit(name, root, processes, opened.log_curve, return_state=False, wait_for=before)
        if name == "ingest" and outcome(name, futures[name]).done:
            log_estimate(root, params, graph)
    ended: list[StageOutcome] = []
    for name, future in futures.items():
        ended.append(outcome(name, future))
        if ended[-1].status == "ran":
            durations.record_duration(root, name, ended[-1].seconds)
    return ended


def log_estimate(root: Path, params: Params, graph: dict[str, list[str]]) -> None:
    """Log about how long the stages that are not up to date will take; nothing where all are, or DVC is busy."""
    with suppress(UserError):  # the stages themselves wait, or say what is wrong
        if line := durations.estimate_stages(root, params, graph).line:
            get_run_logger().info(line)


def outcome(name: str, future: PrefectFuture[State]) -> StageOutcome:
    """How a stage ended; it never started where a stage that it needs failed."""
    future.wait()
    if not future.state.is_final():
        return StageOutcome(name, "not reached")
    ended = state_data(future.state)
    if isinstance(ended, Exception):  # DVC itself failed, before or after the stage
        return StageOutcome(name, "failed", 0.0, str(future.state.message), isinstance(ended, UserError))
    return cast(StageOutcome, ended)


def publish_stages(stages: list[StageOutcome]) -> None:
    """Publish how each stage ended."""
    create_table_artifact(training.stage_rows(stages), key="stages", description="How each stage ended")


def publish_metrics(root: Path) -> None:
    """Publish test metrics and group metrics."""
    create_table_artifact(training.metric_rows(root), key="metrics", description="Test split, with baselines")
    groups = training.group_rows(root)
    if groups:
        create_table_artifact(groups, key="groups", description="Test accuracy by group")


def publish_verdict(verdict: GateVerdict) -> None:
    """Publish the gate's verdict."""
    create_markdown_artifact(training.verdict_text(verdict), key="gate", description="The gate's verdict")
