"""install-system-packages where it cannot install: one message with the command that does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "install-system-packages"


@pytest.fixture
def bare_env(tmp_path: Path) -> dict[str, str]:
    """An environment with hardly a command: no apt-get, no browser."""
    for name in ("bash", "cat", "id"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(tmp_path)}


def test_missing_packages_are_named_with_the_command_that_installs_them(
    bare_env: dict[str, str],
) -> None:
    done = subprocess.run(["bash", SCRIPT, "--tests"], env=bare_env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    first, command, last = done.stderr.split("\n", 2)
    assert first.startswith("error: expected the system packages chromium-headless-shell")
    assert command.startswith(
        "    apt-get update && apt-get install -y --no-install-recommends chromium-headless-shell"
    )
    assert "the tests that need them are" in last


def test_a_missing_python_is_named(bare_env: dict[str, str]) -> None:
    done = subprocess.run(["bash", SCRIPT, ""], env=bare_env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: expected Python 3.11 or newer, found none; ")


def test_the_script_does_nothing_where_nothing_is_missing(bare_env: dict[str, str], tmp_path: Path) -> None:
    for name in ("chromium", "initdb"):
        (tmp_path / name).symlink_to(sys.executable)
    done = subprocess.run(["bash", SCRIPT, "--tests"], env=bare_env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
