"""DVC's locks: a live command is waited for, and what a dead one left is removed, even if its number is taken."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from tasks.dvc.locks import clear_stale_entries, users_of_files, wait_for_project_lock
from tasks.dvc.repository import FilesInUse
from tasks.stage import is_up_to_date
from tests.support.stage_project import make_stages, run_stage, shell_stage

STANDS_FOR_DVC = "import time; time.sleep(60)"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one stage."""
    return make_stages(tmp_path, {"copy": shell_stage("copy", "cp raw data/copy/a", ["a"], deps=["raw"])}, {"raw": "1"})


@pytest.fixture
def repo(project: Path) -> Iterator[Repo]:
    """The project as DVC sees it."""
    with Repo(str(project)) as opened:
        yield opened


def write_users(root: Path, *users: dict[str, Any]) -> Path:
    """List these processes as writers of the stage's output, or as readers of its input from the second on."""
    path = root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(exist_ok=True)
    writers = {str(root / "data" / "copy" / "a"): users[0]} if users else {}
    path.write_text(json.dumps({"write": writers, "read": {str(root / "raw"): list(users[1:])} if users[1:] else {}}))
    return path


@contextmanager
def other_process(*words: str) -> Iterator[int]:
    """The number of a process that does nothing, and has these words at the end of its command line."""
    with subprocess.Popen([sys.executable, "-c", STANDS_FOR_DVC, *words]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_number_that_another_program_has_now_locks_nothing(project: Path) -> None:
    with other_process("shopping") as number:
        write_users(project, {"pid": number, "cmd": "/usr/bin/dvc repro"}, {"pid": 1, "cmd": "/usr/bin/dvc repro copy"})
        assert run_stage(project, "copy").status == "ran"


def test_a_process_that_began_after_the_list_was_written_is_another_one(project: Path, repo: Repo) -> None:
    with other_process("repro") as number:
        path = write_users(project, {"pid": number, "cmd": "/usr/bin/dvc repro"})
        assert len(users_of_files(repo)) == 1
        os.utime(path, (time.time() - 3600, time.time() - 3600))
        assert users_of_files(repo) == []


def test_the_own_number_of_an_earlier_process_locks_nothing(project: Path, repo: Repo) -> None:
    path = write_users(project, {"pid": os.getpid(), "cmd": "/usr/bin/dvc repro"})
    clear_stale_entries(repo)
    assert json.loads(path.read_text()) == {"write": {}, "read": {}}
    path = write_users(project, mine := {"pid": os.getpid(), "cmd": " ".join(sys.argv)})
    clear_stale_entries(repo)
    assert list(json.loads(path.read_text())["write"].values()) == [mine]  # a thread at work


@pytest.mark.parametrize(
    "content", ["", '{"write": {"a"', "[]", '{"write": {"a": 1}}', '{"write": {"a": {"cmd": "x"}}}']
)
def test_a_torn_list_is_removed_and_locks_nothing(project: Path, repo: Repo, content: str) -> None:
    path = write_users(project)
    path.write_text(content)
    clear_stale_entries(repo)
    assert not path.exists()


@pytest.mark.slow
def test_a_live_command_is_waited_for(project: Path) -> None:
    with other_process("repro", "copy") as number:
        write_users(project, {"pid": number, "cmd": "/usr/bin/dvc repro copy"})
        with pytest.raises(FilesInUse, match=rf"found `/usr/bin/dvc repro copy` \(process {number}\); run again when"):
            is_up_to_date("copy", project)
        outcomes: list[Any] = []
        thread = threading.Thread(target=lambda: outcomes.append(run_stage(project, "copy")))
        thread.start()
        time.sleep(4)
        assert not outcomes
    thread.join(60)
    assert outcomes[0].status == "ran"


@pytest.mark.slow
def test_the_lock_of_the_project_is_waited_for_and_its_holder_named(
    project: Path, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    path = project / ".dvc" / "tmp" / "lock"
    path.parent.mkdir(exist_ok=True)
    code = (
        f"import sys, zc.lockfile; held = zc.lockfile.LockFile({str(path)!r}); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        threading.Timer(5, holder.terminate).start()
        wait_for_project_lock(repo)
        assert f"waiting for DVC's lock {path}, which process {holder.pid} holds" in caplog.text
        holder.wait()
