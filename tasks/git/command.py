"""Git, asked in the project's root."""

import os
import subprocess
from pathlib import Path

# A hook's environment names the repository that it runs for; here it is always the project's own.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


def run_git(root: Path, *words: str, env: dict[str, str] | None = None, said: bytes | None = None) -> bytes:
    """What git answers; RuntimeError with its own words when it cannot."""
    done = try_git(root, *words, env=env, said=said)
    if done.returncode:
        raise RuntimeError(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def try_git(
    root: Path, *words: str, env: dict[str, str] | None = None, said: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git; an exit code of 0 tells that it could."""
    known = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    settings = known | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | (env or {})
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, input=said, env=settings, capture_output=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"git is not installed")
