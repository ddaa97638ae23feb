"""The code and settings of a version, checked out into a git worktree below data/scratch/verify for one block.

Nothing of the user's changes. Git checks the recorded commit out elsewhere. DVC works there with separate
configuration, locks and state, and with an empty cache. The worktree is removed when the block ends.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock, Timeout

from pipeline.core.code_archive import unpack_code
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from tasks.git.command import run_git, try_git
from tasks.git.head import find_repository

TREE, LOCK_FILE = "tree", "held"
QUIET_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")  # `dvc install` adds a hook
# The cache is empty because outputs are hashed and compared, never stored. no_scm leaves the worktree's index alone.
DVC_CONFIG = """[core]
    no_scm = true
    analytics = false
    check_update = false
    site_cache_dir = {folder}/state
[cache]
    dir = {folder}/cache
"""


@dataclass(frozen=True)
class Snapshot:
    """The code and settings that a registered version was made from."""

    title: str  # the version's name in messages
    number: str
    commit: str
    patch: bytes  # how the code differed from the commit; empty if it did not
    files: dict[str, bytes]  # recorded files that replace those of the commit, by path
    encoder: str | None  # the encoder's path, if it is a folder of the user's
    code: bytes | None = None  # the archive of the stages' code, if the commit does not hold it


@contextmanager
def checked_out(root: Path, version: Snapshot) -> Iterator[Path]:
    """The root of the project as it was when the version was made, without data, for the block.

    Raises UserError if the commit is not in this repository.
    """
    require_commit(root, version.title, version.commit)
    home = Paths(root).scratch("verify")
    home.mkdir(parents=True, exist_ok=True)
    remove_abandoned(root, home)
    folder = Path(mkdtemp(prefix=f"version-{version.number}-", dir=home))
    # A soft lock would stay when this process is killed; the system frees a real one.
    with FileLock(folder / LOCK_FILE, fallback_to_soft=False):
        try:
            project = check_out(root, version, folder)
            if version.encoder is not None and not (project / version.encoder).exists():
                link_untracked(root, project, version.encoder)
            yield project
        finally:
            remove_worktree(root, folder)


def require_commit(root: Path, title: str, commit: str) -> None:
    """Raise UserError unless ``commit`` can be checked out; ``title`` is the version's name in the message."""
    if find_repository(root) is None:
        raise UserError(f"{root}: expected a git repository to check {title} out from, found none; run it there")
    run_git(root, "rev-parse", "--git-dir")
    if try_git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(
            f"{title}: expected its commit {commit} in this repository, found none; fetch it "
            f"(`git fetch origin {commit}`)"
        )


def check_out(root: Path, version: Snapshot, folder: Path) -> Path:
    """Check the commit out, apply the patch, and write the recorded files and DVC's settings over it."""
    run_git(root, *QUIET_OPTIONS, "worktree", "add", "--detach", str(folder / TREE), version.commit)
    if version.patch:
        run_git(folder / TREE, "apply", "--whitespace=nowarn", "-", stdin=version.patch)
    # The project may be a folder of its repository.
    prefix = run_git(root, "rev-parse", "--show-prefix").decode().strip()
    project = folder / TREE / prefix
    for name, content in version.files.items():
        (project / name).write_bytes(content)
    if version.code is not None:
        unpack_code(version.code, project, version.title)
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc" / "config").write_text(DVC_CONFIG.format(folder=folder))
    return project


def remove_abandoned(root: Path, home: Path) -> None:
    """Remove the worktrees of processes that were killed; those of running processes are locked and stay."""
    for folder in filter(Path.is_dir, home.iterdir()):
        with suppress(Timeout), FileLock(folder / LOCK_FILE, timeout=0, fallback_to_soft=False):
            remove_worktree(root, folder)


def remove_worktree(root: Path, folder: Path) -> None:
    """Remove the worktree and git's record of it."""
    try_git(root, "worktree", "remove", "--force", "--force", str(folder / TREE))
    shutil.rmtree(folder, ignore_errors=True)


def link_untracked(root: Path, project: Path, path: str) -> bool:
    """Link the user's file or folder, which git does not hold, into the worktree.

    Returns False if there is none, or if ``path`` leads out of the project.
    """
    link, original = project / path, root / path
    if os.path.isabs(path) or ".." in Path(path).parts or not original.exists():
        return False
    if link.is_symlink() or link.is_file():
        link.unlink()
    elif link.exists():
        shutil.rmtree(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(original.resolve(), target_is_directory=original.is_dir())
    return True
