"""What `gleaner promote` and `gleaner rollback` do: their flow in a session, a summary, an exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

from flows.session import session
from pipeline.errors import UserError
from pipeline.params import load


def promote(root: Path, version: str | None) -> int:
    """0 promoted, 1 refused, insufficient or lost to another promoter, 2 on a user's mistake, 130 on Ctrl-C."""

    def work(name: str) -> int:
        from flows import promotion_summary
        from flows.promote import promote

        found = promote(root, version, name)
        promotion_summary.show(found)
        return found.exit_code

    return ended(root, "promote", work)


def rollback(root: Path, to: str | None, reason: str) -> int:
    """0 rolled back, 1 lost to another who moved the champion first, 2 on a user's mistake, 130 on Ctrl-C."""

    def work(name: str) -> int:
        from flows import promotion_summary
        from flows.promote import rollback

        found = rollback(root, to, reason, name)
        promotion_summary.show_rollback(found)
        return found.exit_code

    return ended(root, "rollback", work)


def ended(root: Path, kind: str, work: Callable[[str], int]) -> int:
    """The exit code; what the user should know is told in a line."""
    try:
        load(root / "params.yaml")
        return session(root, kind, work)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; `gleaner {kind}` again, or `gleaner history` to see what was done", file=sys.stderr)
        return 130
