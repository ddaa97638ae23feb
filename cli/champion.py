"""What `gleaner promote` and `gleaner rollback` do: their flow in a session, a summary, an exit code."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import session
from pipeline.core.params import load


@exit_code(stopped="`gleaner promote` again, or `gleaner history` to see what was done")
def promote(root: Path, version: str | None) -> int:
    """0 promoted, 1 refused, insufficient or lost to another promoter, 2 on a user's mistake, 130 on Ctrl-C."""
    load(root / "params.yaml")
    with session(root) as flow_run:
        from flows.outcomes import promotion
        from flows.promote import promote
        from tasks import registry

        registry.connect(root)
        with flow_run("promote") as name:
            found = promote(root, version, name)
            promotion.show(found)
    return found.exit_code


@exit_code(stopped="`gleaner rollback` again, or `gleaner history` to see what was done")
def rollback(root: Path, to: str | None, reason: str) -> int:
    """0 rolled back, 1 lost to another who moved the champion first, 2 on a user's mistake, 130 on Ctrl-C."""
    load(root / "params.yaml")
    with session(root) as flow_run:
        from flows.outcomes import promotion
        from flows.promote import rollback
        from tasks import registry

        registry.connect(root)
        with flow_run("rollback") as name:
            found = rollback(root, to, reason, name)
            promotion.show_rollback(found)
    return found.exit_code
