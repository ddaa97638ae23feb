"""Git, run in the project's root: the one place that starts it for tasks and commands."""

import os
import subprocess
from pathlib import Path

# A git hook sets these to the repository that it runs for. They go, because the repository is always the project's.
HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


def run_git(root: Path, *words: str, env: dict[str, str] | None = None, stdin: bytes | None = None) -> bytes:
    """Run git and return what it prints. Raises RuntimeError with git's message if it fails."""
    done = try_git(root, *words, env=env, stdin=stdin)
    if done.returncode:
        raise RuntimeError(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def try_git(
    root: Path, *words: str, env: dict[str, str] | None = None, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return its exit code and output. The exit code is 127 if git is not installed."""
    inherited = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    settings = inherited | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | (env or {})
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=stdin, env=settings, capture_output=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not installed")


def error_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """The line in which a git command that failed names the reason."""
    output = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace") or "no reason"
    lines = output.splitlines()
    return next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
