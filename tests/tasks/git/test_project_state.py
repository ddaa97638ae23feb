"""Registering finds the project as it was when the run began, or names what changed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, to_yaml
from tasks.git.project_state import ProjectState, read_state, require_unchanged
from tests.support.registering import git
from tests.support.stage_project import BIN, cached_objects, make_stages, overwrite, shell_stage

STAGES = {
    "copy": shell_stage("copy", "cp raw/a data/copy/a", ["a"], deps=["raw", "tool.py"], params=["lr"]),
    "model": shell_stage(
        "model", "mkdir data/model/m && cp data/copy/a data/model/m/weights", ["m"], deps=["data/copy/a"]
    ),
}
FILES = {"raw/a": "0.9", "params.yaml": "lr: 1\nother: 1\n", "tool.py": "1\n", "pipeline/core.py": "1\n"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project whose stages have run."""
    root = make_stages(tmp_path_factory.mktemp("state"), STAGES, FILES)
    subprocess.run([BIN / "dvc", "repro", "-q"], cwd=root, check=True)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the project."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def require(root: Path, start: ProjectState) -> None:
    """Check all stages of the project."""
    require_unchanged(root, start, list(STAGES))


def change_lock(root: Path) -> None:
    """Let dvc.lock say that copy was made with another lr."""
    lock = read_yaml(root / "dvc.lock")
    lock["stages"]["copy"]["params"]["params.yaml"]["lr"] = 2
    (root / "dvc.lock").write_text(to_yaml(lock))


def commit_params(root: Path) -> None:
    """Edit params.yaml and commit it, as a person does while a training runs."""
    (root / "params.yaml").write_text("lr: 1\nother: 2\n")
    git(root, "commit", "-q", "-a", "-m", "other params")


def test_a_project_that_is_as_it_was_passes_and_so_does_raw_data_that_came(project: Path) -> None:
    start = read_state(project)
    require(project, start)
    (project / "raw" / "later").write_text("arrived while the training ran")
    (project / "README").write_text("notes")
    (project / "pipeline" / ".core.py.swp").write_text("an editor's own")
    require(project, start)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (commit_params, r"[0-9a-f]{12} was checked out, now [0-9a-f]{12}; params\.yaml changed"),
        (lambda root: (root / "params.yaml").write_text("lr: 2\nother: 1\n"), r"params\.yaml changed; copy: "),
        (lambda root: (root / "pipeline" / "core.py").write_text("2\n"), r"pipeline/core\.py changed; nothing"),
        (lambda root: (root / "pipeline" / "new.py").write_text("2\n"), r"pipeline/new\.py is new; nothing"),
        (lambda root: (root / "pipeline" / "core.py").unlink(), r"pipeline/core\.py is gone; nothing"),
        (lambda root: (root / "tool.py").write_text("2\n"), r"tool\.py changed; copy: tool\.py modified"),
        (change_lock, r"copy: params\.yaml .*; nothing is registered"),
        (
            lambda root: (root / "data" / "copy" / "a").write_text("1.8"),
            r"copy: data/copy/a modified; model: data/copy/a",
        ),
        (lambda root: overwrite(root / "data/model/m/weights", "1.8"), r"data/model/m is not what dvc\.lock records"),
        (lambda root: (root / "data/model/m/weights").unlink(), r"model: data/model/m modified"),
    ],
)
def test_what_changed_is_named_and_nothing_is_registered(
    project: Path, change: Callable[[Path], None], named: str
) -> None:
    start = read_state(project)
    require(project, start)
    change(project)
    with pytest.raises(UserError, match=f"^expected the project as it was when the run began, found: {named}") as error:
        require(project, start)
    assert "\n" not in str(error.value) and "; nothing is registered, " in str(error.value)


def test_a_damaged_object_is_replaced_before_it_can_be_pushed(project: Path) -> None:
    (damaged,) = cached_objects(project, "0.9")
    overwrite(damaged, "1.8")
    require(project, read_state(project))
    assert damaged.read_text() == "0.9"
    (listing,) = (project / ".dvc" / "cache" / "files").rglob("*.dir")
    before = listing.read_text()
    overwrite(listing, "[]")
    require(project, read_state(project))
    assert listing.read_text() == before


def test_a_project_without_git_is_compared_by_its_files(project: Path) -> None:
    shutil.rmtree(project / ".git")
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    start = read_state(project)
    assert start.head.absence == "no git repository"
    require(project, start)
    (project / "pipeline" / "core.py").write_text("2\n")
    with pytest.raises(UserError, match=r"pipeline/core\.py changed"):
        require(project, start)
