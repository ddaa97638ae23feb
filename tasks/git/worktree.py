"""A version's code and settings in a worktree of its own, below data/scratch/verify; gone when the block ends.

Nothing of the user's is touched: git checks the recorded commit out elsewhere, and DVC works there with a
configuration, locks and state of its own and no cache at all.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from tasks.git.command import run_git, try_git

TREE, HELD = "tree", "held"
QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")  # `dvc install` adds a checkout hook
# No cache: what a stage made is hashed and compared, never stored. No git: the worktree's index stays as it is.
CONFIG = """[core]
    no_scm = true
    analytics = false
    check_update = false
    site_cache_dir = {place}/state
[cache]
    dir = {place}/cache
"""


@dataclass(frozen=True)
class Snapshot:
    """The code and settings that a registered version was made from."""

    title: str  # how messages call the version
    number: str
    commit: str
    patch: bytes  # how the code differed from the commit; empty where it did not
    files: dict[str, bytes]  # recorded files that replace those of the commit, by path
    encoder: str | None  # the encoder's path, where it is a folder of the user's


@contextmanager
def checked_out(root: Path, version: Snapshot) -> Iterator[Path]:
    """The root of the project as it was when the version was made, without data.

    Raises UserError when the commit is not in this repository.
    """
    require_commit(root, version.title, version.commit)
    home = Paths(root).scratch("verify")
    home.mkdir(parents=True, exist_ok=True)
    clear_abandoned(root, home)
    place = Path(mkdtemp(prefix=f"version-{version.number}-", dir=home))
    with (place / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # until this process is gone, however it ends
        try:
            project = fill(root, version, place)
            if version.encoder is not None and not (project / version.encoder).exists():
                link_untracked(root, project, version.encoder)
            yield project
        finally:
            remove(root, place)


def require_commit(root: Path, title: str, commit: str) -> None:
    """Raise UserError unless the commit of the version that messages call ``title`` can be checked out."""
    if try_git(root, "rev-parse", "--git-dir").returncode:
        raise UserError(f"{root}: expected a git repository to check {title} out from, found none; run it there")
    if try_git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(
            f"{title}: expected its commit {commit} in this repository, found none; fetch it "
            f"(`git fetch origin {commit}`)"
        )


def fill(root: Path, version: Snapshot, place: Path) -> Path:
    """Check the commit out, apply the patch, and put the recorded files and DVC's settings over it."""
    run_git(root, *QUIET, "worktree", "add", "--detach", str(place / TREE), version.commit)
    if version.patch:
        run_git(place / TREE, "apply", "--whitespace=nowarn", "-", said=version.patch)
    inside = (
        run_git(root, "rev-parse", "--show-prefix").decode().strip()
    )  # the project may be a folder of its repository
    project = place / TREE / inside
    for name, content in version.files.items():
        (project / name).write_bytes(content)
    (project / ".dvc").mkdir(exist_ok=True)
    (project / ".dvc" / "config").write_text(CONFIG.format(place=place))
    return project


def clear_abandoned(root: Path, home: Path) -> None:
    """Remove what a killed process left here; what one that runs still holds stays."""
    for place in home.iterdir():
        try:
            with (place / HELD).open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(root, place)
        except (BlockingIOError, FileNotFoundError, NotADirectoryError):
            continue


def remove(root: Path, place: Path) -> None:
    """Take the worktree away, and git's note of it."""
    try_git(root, "worktree", "remove", "--force", "--force", str(place / TREE))
    shutil.rmtree(place, ignore_errors=True)


def link_untracked(root: Path, project: Path, path: str) -> bool:
    """Let the worktree read what git does not hold where the user keeps it, through a link; False where it is not."""
    place, given = project / path, root / path
    if os.path.isabs(path) or ".." in Path(path).parts or not given.exists():
        return False
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(given.resolve(), target_is_directory=given.is_dir())
    return True
