"""The project's git repository in a backup: all its commits in one file, and what a clone does not carry."""

from pathlib import Path

from pipeline.core.errors import UserError
from tasks.backup.manifest import BUNDLE, Manifest
from tasks.git.command import error_line, run_git, try_git

KEPT_SETTINGS = r"^(remote|branch|user)\."  # of the repository; others may name programs that git runs


def back_up_repository(root: Path, folder: Path, manifest: Manifest) -> list[Path]:
    """Write all branches, tags and commits into the backup, and enter HEAD, settings and deleted files.

    Returns the files that were written: none without a repository or without a commit. Raises UserError if git fails.
    """
    found = try_git(root, "rev-parse", "--show-prefix")
    if found.returncode:
        if is_outside_git(root, found.stderr):
            manifest.left.append("git: the project is in no repository")
            return []
        raise UserError(f"git: expected a repository that can be read, found: {error_line(found)}; mend it")
    manifest.prefix = found.stdout.decode().strip().rstrip("/")
    settings = try_git(root, "config", "--local", "-z", "--get-regexp", KEPT_SETTINGS).stdout.decode()
    manifest.git_settings = [split_setting(line) for line in settings.split("\0") if line]
    head = try_git(root, "symbolic-ref", "-q", "HEAD").stdout.decode().strip()
    if try_git(root, "rev-parse", "--verify", "-q", "HEAD").returncode:
        manifest.head = head
        return []
    manifest.head = head or run_git(root, "rev-parse", "HEAD").decode().strip()
    deleted = run_git(root, "ls-files", "-z", "--deleted").decode(errors="surrogateescape")
    manifest.deleted = [name for name in deleted.split("\0") if name]
    done = try_git(root, "bundle", "create", "-q", str(folder.resolve() / BUNDLE), "--all", "HEAD")
    if done.returncode:
        raise UserError(f"git: expected to bundle all commits, found: {error_line(done)}; mend the repository")
    return [folder / BUNDLE]


def is_outside_git(root: Path, message: bytes) -> bool:
    """Whether git failed only because there is no repository, or no git."""
    has_repository = any((parent / ".git").exists() for parent in (root, *root.parents))
    return not has_repository and (b"not a git repository" in message or b"not installed" in message)


def split_setting(line: str) -> tuple[str, str]:
    """Name and value of a setting as `git config -z` lists it."""
    name, _, value = line.partition("\n")
    return name, value


def restore_repository(top: Path, folder: Path, manifest: Manifest) -> None:
    """Make the repository in ``top`` with all commits, branches and settings, and check HEAD out. Raises UserError."""
    if not manifest.head:
        return
    has_commits = BUNDLE in manifest.files
    is_branch = manifest.head.startswith("refs/")
    steps = [["init", "-q"]]
    if has_commits:
        steps.append(["fetch", "-q", "--update-head-ok", str((folder / BUNDLE).resolve()), "+refs/*:refs/*", "HEAD"])
    if is_branch:
        steps.append(["symbolic-ref", "HEAD", manifest.head])
    else:
        steps.append(["update-ref", "--no-deref", "HEAD", manifest.head])
    if has_commits:
        steps.append(["-c", "core.hooksPath=/dev/null", "reset", "-q", "--hard"])
    steps += [["config", "--add", name, value] for name, value in manifest.git_settings]
    for words in steps:
        done = try_git(top, *words)
        if done.returncode:
            raise UserError(f"git {words[0]}: expected to restore the repository, found: {error_line(done)}; try again")
    for name in manifest.deleted:
        (top / manifest.prefix / name).unlink(missing_ok=True)
