"""Git, run in the project's root: the one place that starts it for tasks and commands."""

import os
import subprocess
import time
from pathlib import Path

from pipeline.core.errors import UserError

# A git hook sets these to the repository that it runs for. They go, because the repository is always the project's.
HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
NOT_INSTALLED = 127  # the exit code of a shell for a command that does not exist
LOCK_SECONDS = 10.0  # to wait for another git process, which holds the index for moments
LOCK_PAUSE = 0.2  # seconds between two tries
# What git says, and what to do about it. {root} is the folder that git was run in.
ADVICE = (
    ("dubious ownership", "`git config --global --add safe.directory {root}`, or make the files yours with `chown`"),
    ("git is not installed", "install it (`apt-get install git`)"),
    (".lock': file exists", "end the other git process; if there is none, remove that file"),
    ("empty ident name", "`git config user.name NAME` and `git config user.email ADDRESS`"),
    ("tell me who you are", "`git config user.name NAME` and `git config user.email ADDRESS`"),
    ("not a git repository", "restore .git from a clone or a backup, or remove what is left of it"),
    ("single revision", "`git fsck` names what is broken; `git checkout BRANCH` leaves a branch that does not exist"),
    ("bad object", "`git fsck` names what is broken; restore .git from a clone or a backup"),
    ("no space left", "free some disk space"),
    ("permission denied", "make the files of .git writable for this user"),
)


def run_git(root: Path, *words: str, env: dict[str, str] | None = None, stdin: bytes | None = None) -> bytes:
    """What git prints. Raises UserError with git's reason and what to do if it fails."""
    done = try_git(root, *words, env=env, stdin=stdin)
    if done.returncode:
        raise git_error(root, f"`git {words[0]}`", done)
    return done.stdout


def try_git(
    root: Path, *words: str, env: dict[str, str] | None = None, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The exit code and output of a git command. The exit code is 127 if git is not installed.

    A lock of another git process is waited for, `LOCK_SECONDS` at most.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    settings = inherited | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | (env or {})
    command = ["git", "-C", str(root), *words]
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            done = subprocess.run(command, input=stdin, env=settings, capture_output=True, check=False)
        except FileNotFoundError:
            return subprocess.CompletedProcess(command, NOT_INSTALLED, b"", b"git is not installed")
        is_locked = done.returncode != 0 and b".lock': File exists" in done.stderr
        if not is_locked or time.monotonic() > deadline:
            return done
        time.sleep(LOCK_PAUSE)


def is_untracked(root: Path, path: str) -> bool:
    """Whether a file of the repository was never added to git; false outside a repository."""
    return try_git(root, "ls-files", "--error-unmatch", path).returncode == 1


def error_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """The line in which a git command that failed names the reason."""
    output = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace") or "no reason"
    lines = output.splitlines()
    return next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])


def git_error(root: Path, purpose: str, done: subprocess.CompletedProcess[bytes]) -> UserError:
    """The error to raise for a git command that failed: git's reason, and what to do about it."""
    return UserError(f"{root}: expected git to work for {purpose}, found: {error_line(done)}; {advice(root, done)}")


def advice(root: Path, done: subprocess.CompletedProcess[bytes]) -> str:
    """What to do about a git command that failed."""
    output = (done.stderr + done.stdout).decode(errors="replace").lower()
    known = (text for sign, text in ADVICE if sign in output)
    return next(known, "mend it: `git status` in that folder says more").format(root=root)
