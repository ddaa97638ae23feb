"""install-system-packages where nothing can be installed: one message that says what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "install-system-packages"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment with hardly a command: no apt-get, no browser."""
    for name in ("bash", "cat", "id"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(tmp_path)}


def test_what_the_tests_miss_is_named_with_the_command_that_gets_it(bare: dict[str, str]) -> None:
    done = subprocess.run(["bash", SCRIPT, "--tests"], env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    first, command, last = done.stderr.split("\n", 2)
    assert first.startswith("error: expected the system packages chromium-headless-shell")
    assert command.startswith(
        "    apt-get update && apt-get install -y --no-install-recommends chromium-headless-shell"
    )
    assert "the tests that need them are" in last


def test_without_a_python_that_is_said(bare: dict[str, str]) -> None:
    done = subprocess.run(["bash", SCRIPT, ""], env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: expected Python 3.11 or newer, found none; ")


def test_where_nothing_is_missing_nothing_is_done(bare: dict[str, str], tmp_path: Path) -> None:
    for name in ("chromium", "initdb"):
        (tmp_path / name).symlink_to(sys.executable)
    done = subprocess.run(["bash", SCRIPT, "--tests"], env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
