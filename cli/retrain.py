"""The command `gleaner retrain`: run one night now in a session, print its outcome, return an exit code."""

from datetime import datetime
from pathlib import Path

from cli.exit_codes import exit_code
from flows.prefect_session import prefect_session
from pipeline.core.params import read_yaml
from pipeline.core.printable import printable


@exit_code(stopped="`gleaner retrain` goes on from here")
def main(root: Path, force: bool, now: datetime | None = None) -> int:
    """Run a night.

    Exit code 0 promoted, waiting for approval or no reason to train, 1 refused or failed, 2 user error, 130 Ctrl-C.
    """
    read_yaml(root / "params.yaml")  # the night itself checks and notifies of everything else
    with prefect_session(root) as flow_run:
        from flows.outcomes.night import Night, headline, message_lines
        from flows.retrain import retrain
        from tasks.prefect_states.user_error import result_of

        with flow_run("retrain") as name:
            night: Night = result_of(retrain.with_options(flow_run_name=name)(root, force, now, return_state=True))
            print("\n".join([headline(night), *(f"  {printable(line)}" for line in message_lines(night))]))
            print("".join(f"  not told: {printable(line)}\n" for line in night.unsent), end="")
    return night.exit_code
