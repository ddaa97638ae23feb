"""The commit that is checked out: a project without git has none, and a git that fails is an error with a way on."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from tasks.git import command
from tasks.git.command import run_git, try_git
from tasks.git.head import find_repository, read_head
from tests.support.registering import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "a").write_text("a")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "a")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_a_commit_is_found_from_a_folder_of_the_repository(repository: Path) -> None:
    (repository / "inner").mkdir()
    assert read_head(repository / "inner").commit == git(repository, "rev-parse", "HEAD")
    assert find_repository(repository / "inner") == repository


def test_no_repository_and_no_commit_are_no_errors_and_named(tmp_path: Path) -> None:
    assert str(read_head(tmp_path)) == "none: no git repository" and find_repository(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert str(read_head(tmp_path)) == "none: no commit yet"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_is_an_error_with_the_command_that_trusts_it(repository: Path) -> None:
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 1234, 1234)
    with pytest.raises(UserError, match=r"dubious ownership.*; `git config --global --add safe\.directory /") as error:
        read_head(repository)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("HEAD", "garbage\n"),
        ("HEAD", ""),
        ("HEAD", "ref: refs/heads/nowhere\n"),
        ("refs/heads/main", ""),
        ("refs/heads/main", "0123456789012345678901234567890123456789\n"),
    ],
)
def test_a_broken_head_is_an_error(repository: Path, name: str, content: str) -> None:
    (repository / ".git" / name).write_text(content)
    with pytest.raises(UserError, match="expected git to work for the commit that is checked out, found: fatal: "):
        read_head(repository)


def test_a_git_folder_that_leads_nowhere_is_an_error(repository: Path) -> None:
    shutil.rmtree(repository / ".git")
    (repository / ".git").write_text("gitdir: ../gone\n")
    with pytest.raises(UserError, match="not a git repository.*; restore .git from a clone"):
        read_head(repository)
    (repository / ".git").unlink()
    (repository / ".git").symlink_to("/gone")
    with pytest.raises(UserError, match="not a git repository"):
        read_head(repository)


def test_a_repository_without_the_command_git_is_an_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"found: git is not installed; install it"):
        read_head(repository)


def test_without_a_repository_the_command_git_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert str(read_head(tmp_path)) == "none: no git repository"


def test_a_lock_of_another_git_process_is_waited_for_and_then_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = repository / ".git" / "index.lock"
    lock.touch()
    threading.Timer(0.5, lock.unlink).start()
    (repository / "a").write_text("b")
    run_git(repository, "add", "a")
    assert not lock.exists()
    lock.touch()
    monkeypatch.setattr(command, "LOCK_SECONDS", 0.3)
    with pytest.raises(UserError, match=r"index\.lock': File exists\.; end the other git process; if there is none"):
        run_git(repository, "add", "a")


def test_a_missing_identity_is_an_error_with_the_commands_that_set_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("NAME", "EMAIL"):
        monkeypatch.delenv(f"GIT_AUTHOR_{name}", raising=False)
        monkeypatch.delenv(f"GIT_COMMITTER_{name}", raising=False)
    git(repository, "config", "user.useConfigOnly", "true")
    assert try_git(repository, "commit", "--allow-empty", "-m", "x").returncode
    with pytest.raises(UserError, match="; `git config user.name NAME` and `git config user.email ADDRESS`"):
        run_git(repository, "commit", "--allow-empty", "-m", "x")
