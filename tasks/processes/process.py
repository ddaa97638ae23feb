"""Child processes that end with the block that started them, together with the children that they started."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.core.file_permissions import wanted_umask
from tasks.processes import kill_with_parent

Process = subprocess.Popen[str] | subprocess.Popen[bytes]


class Stopped(Exception):
    """A process was to be started after the block had ended."""


class Processes:
    """Starts processes from any thread, and ends all that still run when the block ends, children included.

    They also end with this process, even if it is killed. Each process leads a session: ending `dvc` alone would leave
    the stage that it started running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._open = True

    @property
    def stopped(self) -> bool:
        """Whether the block has ended, and every process with it."""
        return not self._open

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            running = list(self._running)
        end_sessions(running)

    def start(self, command: list[str], folder: Path) -> subprocess.Popen[str]:
        """Start a command in ``folder``, with stdout and stderr in one pipe.

        The command finds the tools of this Python environment first, whether or not the environment is activated.
        Raises Stopped if the block has ended.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        with self._lock:
            if not self._open:
                raise Stopped(f"not started: {' '.join(command)}")
            process = subprocess.Popen(
                bound_to_parent(command),
                cwd=folder,
                env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                umask=wanted_umask(),
            )
            self._running.add(process)
        return process

    def wait(self, process: subprocess.Popen[str]) -> int:
        """Wait for a process whose output has been read, and return its exit code."""
        code = process.wait()
        if process.stdin:
            process.stdin.close()
        with self._lock:
            self._running.discard(process)
        return code


def bound_to_parent(command: list[str]) -> list[str]:
    """The command line that runs ``command`` and ends with this process. Start it with a pipe as stdin."""
    return [sys.executable, "-I", "-S", kill_with_parent.__file__, *command]


def end_sessions(processes: Sequence[Process]) -> None:
    """Send SIGTERM to the sessions of these processes, and SIGKILL to what is left after `GRACE` seconds."""
    for process in processes:
        signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + kill_with_parent.GRACE
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        signal_group(process, signal.SIGKILL)


def is_alive(process: Process) -> bool:
    """Whether any member of the process's group is left."""
    process.poll()  # collects the leader's exit code, so that a zombie does not count
    return signal_group(process, 0)


def signal_group(process: Process, number: int) -> bool:
    """Send a signal to the process and its children; False if none is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
