"""The command `gleaner promote`: run the promotion flow in a session, print its outcome, return an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import prefect_session
from pipeline.core.params import load_params


@exit_code(stopped="`gleaner promote` again, or `gleaner history` to see what was done")
def main(root: Path, version: str | None) -> int:
    """Compare a version with the champion, and promote it if it is better.

    Exit code 0 promoted, 1 refused, insufficient, waiting for approval or lost to another promoter, 2 user error, 130
    Ctrl-C.
    """
    load_params(root / "params.yaml")
    with prefect_session(root) as flow_run:
        from flows.outcomes.promotion import print_promotion
        from flows.promote import promote
        from tasks import registry

        registry.connect(root)
        with flow_run("promote") as name:
            promotion = promote(root, version, name)
            print_promotion(promotion)
    return promotion.exit_code
