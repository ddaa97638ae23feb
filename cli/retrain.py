"""What `gleaner retrain` does: a night now, in a session, what it came to, an exit code."""

from datetime import datetime
from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import session
from pipeline.core.params import read_yaml


@exit_code(stopped="`gleaner retrain` goes on from here")
def main(root: Path, force: bool, now: datetime | None = None) -> int:
    """0 promoted or no reason to train, 1 refused or failed, 2 on a user's mistake, 130 on Ctrl-C."""
    read_yaml(root / "params.yaml")  # whatever else is wrong with it, the night tells people
    with session(root) as flow_run:
        from flows.outcomes import night
        from flows.retrain import retrain
        from tasks.prefect_states.user_error import result_of

        with flow_run("retrain") as name:
            found: night.Night = result_of(
                retrain.with_options(flow_run_name=name)(root, force, now, return_state=True)
            )
            print("\n".join([night.headline(found), *(f"  {line}" for line in night.told(found))]))
            print("".join(f"  not told: {line}\n" for line in found.unsent), end="")
    return found.exit_code
