"""How the code in the working tree differs from its commit, as a patch that rebuilds it elsewhere.

The patch is stored with a version, and no text of a row may be stored there. So it holds code and settings only
(tasks/dvc/lock_file.py lists them), new files included. It never holds what lies under data/ or ingest.path. Other
files that differ are listed by name.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml
from tasks.dvc.lock_file import CODE_FOLDERS, SETTINGS_FILES, code_files
from tasks.git.command import run_git
from tasks.git.head import read_head

# These override the user's git settings, so that `git apply` can read the output.
PLAIN = ("--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--no-renames")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
NAMES = ("--name-only", "--no-renames", "--relative", "-z")
MAX_NAMED_FILES = 3  # in an error message, which stays one line


@dataclass(frozen=True)
class Changes:
    """What differs from the commit. ``patch`` is empty if no code differs."""

    patch: bytes = b""
    files: tuple[str, ...] = ()  # that the patch changes
    left_out: tuple[str, ...] = ()  # tracked files that differ but are not in the patch: data, and what no stage reads

    @property
    def all(self) -> tuple[str, ...]:
        """Every file that differs."""
        return (*self.files, *self.left_out)


def find_changes(root: Path, params: Params) -> Changes:
    """What differs from HEAD now, except dvc.lock, which a run writes itself. Empty if there is no commit.

    The user's index and objects stay as they are: git works on copies in a temporary folder. Raises UserError if git
    fails in a repository.
    """
    if read_head(root).commit is None:
        return Changes()
    scripts = (path for path in code_files(read_yaml(root / "dvc.lock")) if path.endswith(".py"))
    wanted = [*CODE_FOLDERS, *SETTINGS_FILES, *scripts]
    with TemporaryDirectory() as folder:
        isolated = isolated_git_env(root, Path(folder))
        run_git(root, "read-tree", "HEAD", env=isolated)
        every = ("-z", "--cached", "--others", "--exclude-standard")
        listed = run_git(root, "ls-files", *every, "--", *wanted, *exclusions(params), env=isolated)
        run_git(root, "update-index", "-z", "--add", "--remove", "--stdin", env=isolated, stdin=listed)
        patch = run_git(root, "diff", "--cached", *PLAIN, *PREFIXES, "HEAD", env=isolated)
        files = split_paths(run_git(root, "diff", "--cached", *NAMES, "HEAD", env=isolated))
    tracked = split_paths(run_git(root, "diff", *NAMES, "HEAD", "--", "."))
    return Changes(patch, files, tuple(path for path in tracked if path not in {*files, "dvc.lock"}))


def require_clean(root: Path, params: Params) -> None:
    """Raise UserError unless the working tree is as its commit has it."""
    head = read_head(root)
    differing = find_changes(root, params).all
    if head.commit is not None and not differing:
        return
    hidden = len(differing) - MAX_NAMED_FILES
    named = ", ".join(differing[:MAX_NAMED_FILES]) + (f" and {hidden} more" if hidden > 0 else "")
    found = f"changes in {named}" if differing else head.absence
    raise UserError(
        f"registry.require_clean: expected a working tree as it was committed, found {found}; nothing is registered: "
        "commit and run again (every stage is cached), or set registry.require_clean: false"
    )


def exclusions(params: Params) -> list[str]:
    """Git pathspecs that leave out data, wherever it lies, and compiled code."""
    ingest_path = os.path.normpath(params.ingest.path)
    inside = not os.path.isabs(ingest_path) and ingest_path.split(os.sep)[0] != ".."
    data = ["data", ingest_path] if inside else ["data"]
    return [*(f":(exclude,literal){path}" for path in data), ":(exclude,glob)**/__pycache__/**", ":(exclude)dvc.lock"]


def isolated_git_env(root: Path, folder: Path) -> dict[str, str]:
    """Environment variables with which git reads the user's objects and writes only in ``folder``."""
    objects = (root / run_git(root, "rev-parse", "--git-path", "objects").decode().strip()).resolve()
    (folder / "objects").mkdir()
    return {
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
    }


def split_paths(listed: bytes) -> tuple[str, ...]:
    """The paths of a list in which each ends with NUL."""
    return tuple(os.fsdecode(name) for name in listed.split(b"\0") if name)
