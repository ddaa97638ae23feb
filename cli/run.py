"""What `gleaner run` does: the training flow in a session, a summary, an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.outcomes.training import Training, show
from flows.prefect_session import session
from pipeline.core.params import load


@exit_code(stopped="`gleaner run` goes on from here")
def main(root: Path) -> int:
    """Train, judge and register; 0 when registered, 1 when refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""
    load(root / "params.yaml")
    with session(root) as flow_run:
        from flows.train import train
        from tasks import registry, stage

        stage.graph(root)
        registry.connect(root)
        with flow_run("train") as name:
            training: Training = stage.value(train.with_options(flow_run_name=name)(root, return_state=True))
    show(root, training)
    return training.exit_code
