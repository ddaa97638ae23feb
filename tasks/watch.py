"""Looks at the traffic of the served version every few minutes, in a process of its own that yields to the workers.

    python -m tasks.watch ROOT HANDOVER

One look, which is recorded and told. A look that fails is one line, and the next one is taken all the same.
"""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files, wanted_umask
from pipeline.core.params import load_params
from pipeline.core.printable import print_note
from pipeline.serving.handover import read_handover
from tasks.monitor import look_at_traffic
from tasks.traffic_alerts import record_look, send_by
from tasks.traffic_reference import MonitoredVersion

POLL = 0.5  # seconds between two questions whether a look has ended
NICE = 5  # above the workers' niceness


def watch(root: Path, handover: Path, minutes: float, stopped: threading.Event) -> None:
    """Take a look every so many minutes until ``stopped`` is set, one at a time."""
    while not stopped.wait(60 * minutes):
        command = [sys.executable, "-m", "tasks.watch", str(root), str(handover)]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, umask=wanted_umask()
            )
        except OSError as error:
            print_note(f"serve: monitor: expected to start a process, found {type(error).__name__}; the next look may")
            continue
        while process.poll() is None:
            if stopped.wait(POLL):
                process.kill()
                process.wait()


def main(root: Path, handover: Path) -> int:
    """Take one look; returns the exit code: 0, or 2 if it could not be taken."""
    os.nice(NICE)
    restrict_new_files()
    try:
        served = read_handover(handover).served
        if served is None:
            return 0
        params = load_params(root / "params.yaml")
        model = served.model or params.registry.model
        version = MonitoredVersion(Path(served.folder), served.digest, model, served.number)
        record_look(root, params, look_at_traffic(root, params, version, datetime.now(UTC)), send_by(params))
    except Exception as error:  # noqa: BLE001  the service goes on; a message may quote a row
        print_note(f"serve: monitor: {error if isinstance(error, UserError) else type(error).__name__}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
