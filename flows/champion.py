"""What `gleaner promote` and `gleaner rollback` do: their flow in a session, a summary, an exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

from flows.session import FlowRun, session
from pipeline.errors import UserError
from pipeline.params import load


def promote(root: Path, version: str | None) -> int:
    """0 promoted, 1 refused, insufficient or lost to another promoter, 2 on a user's mistake, 130 on Ctrl-C."""

    def work(flow_run: FlowRun) -> int:
        from flows import promotion_summary
        from flows.promote import promote
        from tasks import registry

        registry.connect(root)
        with flow_run("promote") as name:
            found = promote(root, version, name)
            promotion_summary.show(found)
        return found.exit_code

    return ended(root, "promote", work)


def rollback(root: Path, to: str | None, reason: str) -> int:
    """0 rolled back, 1 lost to another who moved the champion first, 2 on a user's mistake, 130 on Ctrl-C."""

    def work(flow_run: FlowRun) -> int:
        from flows import promotion_summary
        from flows.promote import rollback
        from tasks import registry

        registry.connect(root)
        with flow_run("rollback") as name:
            found = rollback(root, to, reason, name)
            promotion_summary.show_rollback(found)
        return found.exit_code

    return ended(root, "rollback", work)


def ended(root: Path, kind: str, work: Callable[[FlowRun], int]) -> int:
    """The exit code; what the user should know is told in a line."""
    try:
        load(root / "params.yaml")
        with session(root) as flow_run:
            return work(flow_run)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; `gleaner {kind}` again, or `gleaner history` to see what was done", file=sys.stderr)
        return 130
