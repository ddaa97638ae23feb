"""How the code in the working tree differs from its commit, as a patch that rebuilds it elsewhere.

A patch is stored with a version, where no text of a row belongs. So only code and settings go in (tasks/dvc/lock_file.py says
which), new files included, and never what lies under data/ or ingest.path; the rest that differs is named.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml
from tasks.dvc.lock_file import FOLDERS, SETTINGS, code
from tasks.git.command import run_git, try_git

# Whatever the user's git is set to show, this is what `git apply` reads.
PLAIN = ("--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--no-renames")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
NAMES = ("--name-only", "--no-renames", "--relative", "-z")
NAMED = 3  # files that a refusal names


@dataclass(frozen=True)
class Changes:
    """What differs from the commit. ``patch`` is empty where no code does."""

    patch: bytes = b""
    files: tuple[str, ...] = ()  # that the patch changes
    left_out: tuple[str, ...] = ()  # tracked files that differ and are not in it: data, and what no stage reads

    @property
    def all(self) -> tuple[str, ...]:
        """Every file that differs."""
        return (*self.files, *self.left_out)


def changes(root: Path, params: Params) -> Changes:
    """What differs from HEAD now, dvc.lock aside, which a run writes itself; nothing where there is no commit.

    The user's index and objects stay as they are: git works on copies in a temporary folder.
    """
    if try_git(root, "rev-parse", "--verify", "HEAD").returncode:
        return Changes()
    wanted = [*FOLDERS, *SETTINGS, *(path for path in code(read_yaml(root / "dvc.lock")) if path.endswith(".py"))]
    with TemporaryDirectory() as folder:
        own = apart(root, Path(folder))
        run_git(root, "read-tree", "HEAD", env=own)
        every = ("-z", "--cached", "--others", "--exclude-standard")
        listed = run_git(root, "ls-files", *every, "--", *wanted, *unwanted(params), env=own)
        run_git(root, "update-index", "-z", "--add", "--remove", "--stdin", env=own, said=listed)
        patch = run_git(root, "diff", "--cached", *PLAIN, *PREFIXES, "HEAD", env=own)
        files = names(run_git(root, "diff", "--cached", *NAMES, "HEAD", env=own))
    tracked = names(run_git(root, "diff", *NAMES, "HEAD", "--", "."))
    return Changes(patch, files, tuple(path for path in tracked if path not in {*files, "dvc.lock"}))


def require_clean(root: Path, params: Params) -> None:
    """Raise UserError unless what stands in the working tree is what its commit holds."""
    commit = try_git(root, "rev-parse", "--verify", "HEAD")
    differing = changes(root, params).all
    if commit.returncode == 0 and not differing:
        return
    some = ", ".join(differing[:NAMED]) + (f" and {len(differing) - NAMED} more" if len(differing) > NAMED else "")
    found = f"changes in {some}" if differing else "no commit"
    raise UserError(
        f"registry.require_clean: expected a working tree as it was committed, found {found}; nothing is registered: "
        "commit and run again (every stage is cached), or set registry.require_clean: false"
    )


def unwanted(params: Params) -> list[str]:
    """What git is told to leave out: data, wherever it is, and compiled code."""
    given = os.path.normpath(params.ingest.path)
    inside = not os.path.isabs(given) and given.split(os.sep)[0] != ".."
    data = ["data", given] if inside else ["data"]
    return [*(f":(exclude,literal){path}" for path in data), ":(exclude,glob)**/__pycache__/**", ":(exclude)dvc.lock"]


def apart(root: Path, folder: Path) -> dict[str, str]:
    """Settings by which git reads the user's objects and writes nothing but in ``folder``."""
    objects = (root / run_git(root, "rev-parse", "--git-path", "objects").decode().strip()).resolve()
    (folder / "objects").mkdir()
    return {
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
    }


def names(listed: bytes) -> tuple[str, ...]:
    """Paths that git ended with a NUL each."""
    return tuple(os.fsdecode(name) for name in listed.split(b"\0") if name)
