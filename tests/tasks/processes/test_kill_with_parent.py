"""The leash on a child process: it passes the exit code on, and ends the child when its owner is gone."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.processes.process import bound_to_parent


def start(command: str) -> subprocess.Popen[bytes]:
    """A shell command on a leash that this process holds."""
    return subprocess.Popen(bound_to_parent(["/bin/sh", "-c", command]), stdin=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + signal.SIGKILL)])
def test_the_exit_code_is_the_commands(command: str, code: int) -> None:
    with start(command) as process:
        assert process.wait(timeout=10) == code


def test_a_request_to_end_reaches_the_command(tmp_path: Path) -> None:
    with start(f"trap 'exit 3' TERM; touch {tmp_path / 'ready'}; while :; do sleep 0.05; done") as process:
        wait_for(tmp_path / "ready")
        process.terminate()
        assert process.poll() is None, "the leash itself ended first"
        subprocess.run(["kill", "-TERM", "--", f"-{process.pid}"], check=True)
        assert process.wait(timeout=10) == 3


@pytest.mark.slow
def test_what_does_not_end_when_asked_to_is_killed_once_the_owner_is_gone(tmp_path: Path) -> None:
    owner = (
        "import subprocess, sys; from tasks.processes.process import leashed\n"
        "command = leashed(['/bin/sh', '-c', sys.argv[1]])\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True).wait()"
    )
    stubborn = f"trap '' TERM; echo $$ > {tmp_path / 'pid'}; while :; do sleep 0.05; done"
    with subprocess.Popen([sys.executable, "-c", owner, stubborn]) as process:
        pid = wait_for(tmp_path / "pid")
        process.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.1)


def wait_for(path: Path) -> str:
    """The content of a file, once it is there."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return path.read_text().strip()
