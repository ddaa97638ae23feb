"""A command that is bound to its parent: its exit code is passed on, and it ends when the parent is gone."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.processes.process import bound_to_parent


def start(command: str) -> subprocess.Popen[bytes]:
    """Start a shell command that ends with this process."""
    return subprocess.Popen(bound_to_parent(["/bin/sh", "-c", command]), stdin=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + signal.SIGKILL)])
def test_the_exit_code_is_the_commands(command: str, code: int) -> None:
    with start(command) as process:
        assert process.wait(timeout=10) == code


def test_sigterm_reaches_the_command(tmp_path: Path) -> None:
    with start(f"trap 'exit 3' TERM; touch {tmp_path / 'ready'}; while :; do sleep 0.05; done") as process:
        wait_for(tmp_path / "ready")
        process.terminate()
        assert process.poll() is None, "kill_with_parent.py ended before its command"
        subprocess.run(["kill", "-TERM", "--", f"-{process.pid}"], check=True)
        assert process.wait(timeout=10) == 3


@pytest.mark.slow
def test_a_command_that_ignores_sigterm_is_killed_once_the_parent_is_gone(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys; from tasks.processes.process import bound_to_parent\n"
        "command = bound_to_parent(['/bin/sh', '-c', sys.argv[1]])\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True).wait()"
    )
    stubborn = f"trap '' TERM; echo $$ > {tmp_path / 'pid'}; while :; do sleep 0.05; done"
    with subprocess.Popen([sys.executable, "-c", parent, stubborn]) as process:
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
