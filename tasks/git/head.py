"""The commit that is checked out. A git that fails is an error; it is never taken for a project without git."""

from dataclasses import dataclass
from pathlib import Path

from tasks.git.command import git_error, try_git


@dataclass(frozen=True)
class Head:
    """The commit that is checked out, or why there is none."""

    commit: str | None
    absence: str = ""  # "no git repository" or "no commit yet"

    @property
    def short(self) -> str:
        """The first digits of the commit, or why there is none."""
        return self.commit[:12] if self.commit else self.absence

    def __str__(self) -> str:
        return self.commit or f"none: {self.absence}"


def read_head(root: Path) -> Head:
    """The commit that is checked out in the repository of ``root``.

    Raises UserError if there is a repository, but git is not installed or cannot read it.
    """
    repository = find_repository(root)
    if repository is None:
        return Head(None, "no git repository")
    done = try_git(root, "rev-parse", "--verify", "HEAD^{commit}")
    if done.returncode == 0:
        return Head(done.stdout.decode().strip())
    commits = try_git(root, "rev-list", "--all", "--max-count=1")
    if commits.returncode == 0 and not commits.stdout:
        return Head(None, "no commit yet")
    raise git_error(repository, "the commit that is checked out", done)


def find_repository(root: Path) -> Path | None:
    """The folder with the `.git` that git would use in ``root``; None if there is none.

    Like git, it looks no further up than the file system that ``root`` is on.
    """
    root = root.resolve()
    device = root.stat().st_dev
    for folder in (root, *root.parents):
        if folder.stat().st_dev != device:
            return None
        if (folder / ".git").exists() or (folder / ".git").is_symlink():
            return folder
    return None
