"""A version's code and settings in a worktree of its own, below data/scratch/verify; gone when the block ends.

Nothing of the user's is touched: git checks the recorded commit out elsewhere, and DVC works there with a
configuration, locks and state of its own and no cache at all.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from pipeline.errors import UserError
from pipeline.stage import Paths
from tasks.git import ask, told
from tasks.registry.lookup import Recorded

RECORDED = ("params.yaml", "dvc.lock")  # dvc.yaml comes from git: its commands are run
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


@contextmanager
def scratch(root: Path, version: Recorded) -> Iterator[Path]:
    """The root of the project as it was when the version was made, without data.

    Raises UserError when the commit is not here, or a piece of the version was not recorded.
    """
    patch, files, encoder = (
        version.patch(),
        {name: version.file(name) for name in RECORDED},
        version.params()["encoder"],
    )
    check(root, version)
    home = Paths(root).scratch("verify")
    home.mkdir(parents=True, exist_ok=True)
    clear_abandoned(root, home)
    place = Path(mkdtemp(prefix=f"version-{version.number}-", dir=home))
    with (place / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # until this process is gone, however it ends
        try:
            project = fill(root, version.commit, patch, files, place)
            if encoder["source"] == "path" and not (project / encoder["name"]).exists():
                borrow(root, project, encoder["name"])
            yield project
        finally:
            remove(root, place)


def check(root: Path, version: Recorded) -> None:
    """Raise UserError unless the recorded commit can be checked out."""
    if ask(root, "rev-parse", "--git-dir").returncode:
        raise UserError(
            f"{root}: expected a git repository to check {version.title} out from, found none; run it there"
        )
    if ask(root, "cat-file", "-e", f"{version.commit}^{{commit}}").returncode:
        raise UserError(
            f"{version.title}: expected its commit {version.commit} in this repository, found none; fetch it "
            f"(`git fetch origin {version.commit}`)"
        )


def fill(root: Path, commit: str, patch: bytes, files: dict[str, bytes], place: Path) -> Path:
    """Check the commit out, apply the patch, and put the recorded files and DVC's settings over it."""
    told(root, *QUIET, "worktree", "add", "--detach", str(place / TREE), commit)
    if patch:
        told(place / TREE, "apply", "--whitespace=nowarn", "-", said=patch)
    inside = told(root, "rev-parse", "--show-prefix").decode().strip()  # the project may be a folder of its repository
    project = place / TREE / inside
    for name, content in files.items():
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
    ask(root, "worktree", "remove", "--force", "--force", str(place / TREE))
    shutil.rmtree(place, ignore_errors=True)


def borrow(root: Path, project: Path, path: str) -> bool:
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
