"""A command run and measured: how long it took, and the most memory that its processes held together."""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measured:
    """How a command ended, and what it cost."""

    code: int
    seconds: float
    memory: int  # bytes, the highest sum over the process tree


def measure(command: list[str], cwd: Path, log: Path, env: Mapping[str, str] | None = None) -> Measured:
    """Run the command to its end, with its output in the file ``log``."""
    started = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, env=env)
        peak = [0]
        watcher = threading.Thread(target=watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        code = process.wait()
    return Measured(code, time.monotonic() - started, peak[0])


def watch(pid: int, peak: list[int]) -> None:
    """Keep the highest sum of the memory that the processes of a tree hold (proportional share), until it ends."""
    while psutil.pid_exists(pid):
        total = 0
        try:
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], total)
        time.sleep(0.5)
