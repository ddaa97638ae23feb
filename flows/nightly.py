"""What `gleaner retrain` does: a night now, in a session, what it came to, an exit code."""

import sys
from datetime import datetime
from pathlib import Path

from flows.session import session
from pipeline.errors import UserError
from pipeline.params import load


def main(root: Path, force: bool, now: datetime | None = None) -> int:
    """0 promoted or no reason to train, 1 refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""

    def work(name: str) -> int:
        from flows import night
        from flows.retrain import retrain
        from tasks.mistake import got

        found: night.Night = got(retrain.with_options(flow_run_name=name)(root, force, now, return_state=True))
        print("\n".join([night.headline(found), *(f"  {line}" for line in night.told(found))]))
        print("".join(f"  not told: {line}\n" for line in found.unsent), end="")
        return found.exit_code

    try:
        load(root / "params.yaml")
        return session(root, "retrain", work)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; `gleaner retrain` goes on from here", file=sys.stderr)
        return 130
