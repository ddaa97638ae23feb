"""The command `gleaner run`: run the training flow in a session, print its outcome, return an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.outcomes.promotion import print_waiting
from flows.outcomes.training import Training, print_training
from flows.prefect_session import prefect_session
from pipeline.core.params import load_params
from pipeline.core.printable import printable
from tasks.git.command import is_untracked

COMMIT_LOCK = "commit dvc.lock; `dvc metrics diff` compares with it"


@exit_code(stopped="`gleaner run` goes on from here")
def main(root: Path) -> int:
    """Train, apply the gate and register.

    Exit code 0 registered, 1 refused or failed, 2 user error, 130 Ctrl-C.
    """
    params = load_params(root / "params.yaml")
    with prefect_session(root) as flow_run:
        from flows.train import train
        from tasks import registry, stage
        from tasks.prefect_states.user_error import result_of

        stage.stage_graph(root)
        registry.connect(root)
        with flow_run("train") as name:
            training: Training = result_of(train.with_options(flow_run_name=name)(root, return_state=True))
        print_training(root, training)
        if training.version:
            for change in registry.find_version(root, params, training.version.number).limit_changes:
                print(printable(f"Limit changed: {change}"))
            print_waiting(root)
            if is_untracked(root, "dvc.lock"):
                print(f"Next: {COMMIT_LOCK}")
    return training.exit_code
