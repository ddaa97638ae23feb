"""What `gleaner retrain` does: a night now, in a session, what it came to, an exit code."""

from datetime import datetime
from pathlib import Path

from flows.exit_code import exit_code
from flows.session import session
from pipeline.params import load


@exit_code(stopped="`gleaner retrain` goes on from here")
def main(root: Path, force: bool, now: datetime | None = None) -> int:
    """0 promoted or no reason to train, 1 refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""
    load(root / "params.yaml")
    with session(root) as flow_run:
        from flows import night
        from flows.retrain import retrain
        from tasks import registry
        from tasks.mistake import got

        registry.connect(root)
        with flow_run("retrain") as name:
            found: night.Night = got(retrain.with_options(flow_run_name=name)(root, force, now, return_state=True))
            print("\n".join([night.headline(found), *(f"  {line}" for line in night.told(found))]))
            print("".join(f"  not told: {line}\n" for line in found.unsent), end="")
    return found.exit_code
