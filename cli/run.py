"""The command `gleaner run`: run the training flow in a session, print its outcome, return an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.outcomes.promotion import print_waiting
from flows.outcomes.training import Training, print_training
from flows.prefect_session import prefect_session
from pipeline.core.params import Params, load_params
from pipeline.core.printable import printable
from tasks.finished_training import find_finished_training
from tasks.git.command import is_untracked
from tasks.stage_outcome import StageOutcome

COMMIT_LOCK = "commit dvc.lock; `dvc metrics diff` compares with it"
NOTHING_TO_DO = "Nothing to do: all stages are up to date and their version is registered; no flow was started"


@exit_code(stopped="`gleaner run` goes on from here")
def main(root: Path) -> int:
    """Train, apply the gate and register.

    Exit code 0 registered, 1 refused or failed, 2 user error, 130 Ctrl-C.
    """
    params = load_params(root / "params.yaml")
    training = finished_training(root, params)
    if training is None:
        training = run_flow(root)
    else:
        print(NOTHING_TO_DO)
    print_training(root, training)
    if training.version:
        for change in training.version.limit_changes:
            print(printable(f"Limit changed: {change}"))
        print_waiting(root)
        if is_untracked(root, "dvc.lock"):
            print(f"Next: {COMMIT_LOCK}")
    return training.exit_code


def finished_training(root: Path, params: Params) -> Training | None:
    """The outcome of a run that has nothing to do; None if there is something to do."""
    finished = find_finished_training(root, params)
    if finished is None:
        return None
    stages = [StageOutcome(name, "cached") for name in finished.stages]
    return Training(stages, finished.verdict, finished.version)


def run_flow(root: Path) -> Training:
    """The outcome of the training flow, run in a session of its own."""
    with prefect_session(root) as flow_run:
        from flows.train import train
        from tasks import registry
        from tasks.dvc.graph import stage_graph
        from tasks.prefect_states.user_error import result_of

        stage_graph(root)
        registry.connect(root)
        with flow_run("train") as name:
            training: Training = result_of(train.with_options(flow_run_name=name)(root, return_state=True))
    return training
