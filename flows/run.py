"""What `gleaner run` does: the training flow in a session, a summary, an exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flows import summary
from flows.session import FlowRun, session
from pipeline.errors import UserError
from pipeline.params import load

if TYPE_CHECKING:
    from flows.train import Training


def main(root: Path) -> int:
    """Train, judge and register; 0 when registered, 1 when refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""
    try:
        load(root / "params.yaml")
        with session(root) as flow_run:
            training = run(root, flow_run)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; `gleaner run` goes on from here", file=sys.stderr)
        return 130
    summary.show(root, training)
    return training.exit_code


def run(root: Path, flow_run: FlowRun) -> "Training":
    """Run the flow, after reading the graph and making MLflow's store while the server starts."""
    from flows.train import train
    from tasks import registry, stage

    stage.graph(root)
    registry.connect(root)
    with flow_run("train") as name:
        return stage.value(train.with_options(flow_run_name=name)(root, return_state=True))
