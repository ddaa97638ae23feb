"""The command `gleaner rollback`: run the rollback flow in a session, print its outcome, return an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import prefect_session
from pipeline.core.params import load_params


@exit_code(stopped="`gleaner rollback` again, or `gleaner history` to see what was done")
def main(root: Path, to: str | None, reason: str) -> int:
    """Make an earlier champion champion again.

    Exit code 0 rolled back, 1 lost to another process that moved the champion first, 2 user error, 130 Ctrl-C.
    """
    load_params(root / "params.yaml")
    with prefect_session(root) as flow_run:
        from flows.outcomes.promotion import print_outcome
        from flows.promote import rollback
        from tasks import registry

        registry.connect(root)
        with flow_run("rollback") as name:
            done = rollback(root, to, reason, name)
            print_outcome(done)
    return done.exit_code
