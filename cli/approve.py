"""The command `gleaner approve`: settle a version that waits for approval, print the outcome, return an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import prefect_session
from pipeline.core.params import load_params


@exit_code(stopped="`gleaner approve` again, or `gleaner history` to see what was done")
def main(root: Path, version: str, by: str, reason: str, reject: bool) -> int:
    """Make a version that waits for approval champion, or reject it.

    Exit code 0 if the answer took effect, 1 lost to another process that was first, 2 user error, 130 Ctrl-C.
    """
    load_params(root / "params.yaml")
    with prefect_session(root) as flow_run:
        from flows.approve import approve
        from flows.outcomes.promotion import print_outcome
        from tasks import registry
        from tasks.approve import Answer

        registry.connect(root)
        with flow_run("approve") as name:
            done = approve(root, Answer(version, by, reason, reject), name)
            print_outcome(done)
    return done.exit_code
