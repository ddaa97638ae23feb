"""Child processes that never outlive the block that started them, nor leave children of their own behind."""

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

from tasks.processes import kill_with_parent

Process = subprocess.Popen[str] | subprocess.Popen[bytes]


class Stopped(Exception):
    """A process was asked for after the block had ended."""


class Processes:
    """Starts processes from any thread; leaving the block ends every one that still runs, children included.

    So does the end of this process, however it comes. Each process leads a session of its own: ending `dvc` alone
    would leave the stage that it started running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._open = True

    @property
    def stopped(self) -> bool:
        """Whether the block has ended, so that whatever still ran was ended too."""
        return not self._open

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            running = list(self._running)
        end(running)

    def start(self, command: list[str], folder: Path) -> subprocess.Popen[str]:
        """Start a command in ``folder``, stdout and stderr in one pipe; raises Stopped once the block has ended.

        The command finds the tools of this Python environment first, whether or not it is activated.
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
            )
            self._running.add(process)
        return process

    def wait(self, process: subprocess.Popen[str]) -> int:
        """Wait for a process whose output has been read; returns its exit code."""
        code = process.wait()
        if process.stdin:
            process.stdin.close()
        with self._lock:
            self._running.discard(process)
        return code


def bound_to_parent(command: list[str]) -> list[str]:
    """The command as it has to be started, with a pipe as stdin, to end when this process does."""
    return [sys.executable, "-I", "-S", kill_with_parent.__file__, *command]


def end(processes: Sequence[Process]) -> None:
    """Ask the sessions of these processes to end, and end what has not after a grace period."""
    for process in processes:
        signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + kill_with_parent.GRACE
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        signal_group(process, signal.SIGKILL)


def alive(process: Process) -> bool:
    """Whether any member of the process's group is left."""
    process.poll()  # takes the leader's exit code, so that a zombie does not count
    return signal_group(process, 0)


def signal_group(process: Process, number: int) -> bool:
    """Send a signal to the process and all its children; False when none is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
