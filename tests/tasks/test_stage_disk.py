"""Disks and links that fail under a stage: one line, and the stage runs once that is mended."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.dvc.repro_output import describe_failure
from tests.support.stage_project import make_stages, run_stage, shell_stage

COMMAND = "head -c 3000000 /dev/zero > data/big/a"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a stage that makes three megabytes."""
    return make_stages(tmp_path, {"big": shell_stage("big", COMMAND, ["a"], deps=["raw"])}, {"raw/rows": "1"})


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A disk of one megabyte in ``folder``. Skips the test where no disk can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "found"), [("rw", "no space left on the disk"), ("ro", "can only be read")])
def test_a_cache_on_a_full_or_read_only_disk_is_named(project: Path, options: str, found: str) -> None:
    with small_disk(project / ".dvc" / "cache", options):
        outcome = run_stage(project, "big")
    assert outcome.status == "failed" and outcome.user_error
    assert outcome.message.startswith("error: big: expected to ") and found in outcome.message
    assert "\n" not in outcome.message and run_stage(project, "big").status == "ran"


@pytest.mark.slow
def test_a_full_disk_under_the_outputs_is_named(project: Path) -> None:
    with small_disk(project / "data", "rw"):
        outcome = run_stage(project, "big")
    assert outcome.user_error and "found no space left on the disk" in outcome.message


def test_links_that_lead_nowhere_are_named(project: Path) -> None:
    (project / "raw" / "more").symlink_to("/gone")
    outcome = run_stage(project, "big")
    assert outcome.user_error and "raw/more to lead somewhere, found a link to /gone, which does not" in outcome.message
    (project / "raw" / "more").unlink()
    (project / "data" / "big").mkdir(parents=True)
    (project / "data" / "big" / "a").symlink_to("/gone")
    outcome = run_stage(project, "big")
    assert outcome.user_error and "data/big/a to lead somewhere, found a link to /gone, which does" in outcome.message


def test_a_line_of_dvc_on_a_disk_is_explained() -> None:
    lines = ["Running stage 'x':", "ERROR: unexpected error - [Errno 28] No space left on device"]
    assert describe_failure("x", lines)[1] and "no space left on the disk" in describe_failure("x", lines)[0]
    lines = ["Running stage 'x':", "ERROR: failed to reproduce 'x': [Errno 13] Permission denied: '/p/dvc.lock'"]
    assert describe_failure("x", lines)[0].startswith(
        "error: x: expected to use /p/dvc.lock, found no permission; give"
    )
