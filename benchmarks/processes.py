"""Commands run and measured: how long they take, and the most memory that their processes hold together."""

import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ProcessCost:
    """How a command ended, and what it cost."""

    code: int
    seconds: float
    memory: int  # bytes, the highest sum over the process tree


def run_measured(command: list[str], cwd: Path, log: Path, env: Mapping[str, str] | None = None) -> ProcessCost:
    """Run the command to its end, with its output in the file ``log``."""
    started = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, env=env)
        peak = [0]
        watcher = threading.Thread(target=watch_memory, args=(process.pid, peak), daemon=True)
        watcher.start()
        code = process.wait()
    return ProcessCost(code, time.monotonic() - started, peak[0])


def watch_memory(pid: int, peak: list[int]) -> None:
    """Store in ``peak`` the highest sum of the memory of a process tree (proportional set size), until it ends."""
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
