"""The CI templates of examples/ci: every command in them exists, and the newest of everything is tried weekly alone."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.yaml_file import read_yaml
from tests.docs.test_commands import TARGETS

ROOT = Path(__file__).parent.parent
GITHUB, GITLAB = (read_yaml(ROOT / "examples" / "ci" / f"{name}.yaml") for name in ("github", "gitlab"))


def github_commands(job: dict[str, Any]) -> list[str]:
    """The commands of a job's steps."""
    return [step["run"] for step in job["steps"] if "run" in step]


JOBS = {f"github {name}": github_commands(job) for name, job in GITHUB["jobs"].items()} | {
    f"gitlab {name}": job["script"] for name, job in GITLAB.items() if name != "default"
}


@pytest.mark.parametrize("job", JOBS)
def test_every_command_of_a_job_exists(job: str) -> None:
    assert JOBS[job]
    for command in JOBS[job]:
        program, *words = command.split()
        if program == "make":
            assert set(words) <= TARGETS, command
        else:
            assert os.access(ROOT / program, os.X_OK), command


def test_the_newest_releases_are_tried_by_the_clock_and_no_change_waits_for_them() -> None:
    (schedule,) = GITHUB["on"]["schedule"]
    assert schedule["cron"].split()[4] == "1"
    assert JOBS["github newest"] == JOBS["gitlab newest"] == ["make newest"]
    assert JOBS["github checks"] == JOBS["gitlab checks"] == [".ci/run"]
    assert "schedule'" in GITHUB["jobs"]["newest"]["if"] and "!= 'schedule'" in GITHUB["jobs"]["checks"]["if"]
    assert [job["rules"][0]["if"][-13:] for job in (GITLAB["checks"], GITLAB["newest"])] == [
        '!= "schedule"',
        '== "schedule"',
    ]


def test_the_script_parses_and_is_what_make_runs() -> None:
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "newest"], check=False).returncode == 0
    assert "\nnewest: setup" in (ROOT / "Makefile").read_text()
    assert "\n\t@.ci/newest $(ARGS)\n" in (ROOT / "Makefile").read_text()
