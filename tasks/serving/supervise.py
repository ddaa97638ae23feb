"""Keeps the workers of the service alive: one socket, processes that answer on it, and another for each that ends.

The socket stays open while a worker is replaced, so that whoever connects meanwhile waits instead of being refused.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pipeline.core.errors import UserError
from pipeline.core.file_permissions import wanted_umask
from pipeline.core.printable import print_note

BACKLOG = 2048
FAST_END = 5.0  # seconds after its start within which the end of a worker counts as a failed start
MAX_PAUSE = 10.0  # seconds between failed starts at most
POLL = 0.05
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # pipeline/serving/metrics.py, which imports what reads it at once


@dataclass
class Worker:
    """A process and when it was started."""

    process: "subprocess.Popen[bytes]"
    started: float


@dataclass
class Supervisor:
    """The workers of one service; ``given`` is what each of them is told, without the socket."""

    given: dict[str, object]
    socket: socket.socket
    count: int
    metrics: Path
    drain_seconds: float
    workers: list[Worker] = field(default_factory=list)
    failed_starts: int = 0

    def start(self) -> None:
        """Start all workers."""
        self.workers = [self.start_worker() for _ in range(self.count)]

    def start_worker(self) -> Worker:
        """Start one worker, which ends when this process does."""
        told = json.dumps({**self.given, "socket": self.socket.fileno()})
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.serving.worker", told],
            stdin=subprocess.PIPE,
            env={**os.environ, **worker_variables(self.metrics)},
            pass_fds=[self.socket.fileno()],
            start_new_session=True,
            umask=wanted_umask(),
        )
        return Worker(process, time.monotonic())

    def replace_ended(self) -> None:
        """Start a worker for each that ended; after failed starts it waits. Raises UserError if one was refused."""
        for position, worker in enumerate(self.workers):
            code = worker.process.poll()
            if code is None:
                continue
            if code == 2:
                raise UserError("serve: expected a worker to start, found that it was refused; the line above says why")
            forget_metrics(self.metrics, worker.process.pid)
            failed = time.monotonic() - worker.started < FAST_END
            self.failed_starts = self.failed_starts + 1 if failed else 0
            print_note(f"serve: worker {worker.process.pid} ended with {code}; another one starts")
            if self.failed_starts > 1:
                time.sleep(min(MAX_PAUSE, 0.5 * 2 ** min(self.failed_starts, 6)))
            self.workers[position] = self.start_worker()

    def stop(self) -> None:
        """Let the workers answer what they have, then end them."""
        for worker in self.workers:
            if worker.process.stdin:
                worker.process.stdin.close()
        deadline = time.monotonic() + self.drain_seconds + 5
        for worker in self.workers:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def worker_variables(metrics: Path) -> dict[str, str]:
    """Environment variables of a process that answers: the folder of its metrics, and threads that wait at rest."""
    return {METRICS_VARIABLE: str(metrics), "OMP_WAIT_POLICY": "PASSIVE"}


def forget_metrics(folder: Path, process: int) -> None:
    """Remove the gauges of a worker that ended; its counts stay."""
    for path in folder.glob(f"gauge_live*_{process}.db"):
        path.unlink(missing_ok=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError if the address is in use, or is none of this machine."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise UserError(
            f"--host, --port: expected an address that is free, found {host}:{port}: {error.strerror}; give another"
        ) from None
    return listening


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set during the block."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def keep_alive(supervisor: Supervisor, stopped: threading.Event) -> None:
    """Replace workers that end, until ``stopped`` is set. Raises UserError if a worker was refused."""
    while not stopped.wait(POLL):
        supervisor.replace_ended()
