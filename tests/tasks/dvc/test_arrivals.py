"""Arrivals of a fresh clone: their files are brought back from DVC, or nothing is trained without them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from tasks.dvc.arrivals import restore_arrivals
from tasks.operations_log import append_entry
from tests.support import night_project as project
from tests.support.refreshing import run_without_flow, take_in_texts
from tests.support.stage_project import BIN, overwrite

ROWS = [("the box came today", "delivery"), ("give me my cash", "refund")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project and a DVC remote; both have one file of arrivals."""
    folder = tmp_path_factory.mktemp("arrivals")
    root = project.make_project(folder / "project")
    with pytest.MonkeyPatch.context() as patch, run_without_flow(patch):
        project.drop_file(root, "a.csv", project.to_csv(ROWS, "text", "label"))
        assert take_in_texts(root).new == 2
    for words in (("remote", "add", "-q", "-d", "near", "../store"), ("push", "-q")):
        subprocess.run([BIN / "dvc", *words], cwd=root, check=True)
    project.git(root, "add", "-A")
    project.git(root, "commit", "-q", "-m", "all")
    return folder


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A copy of the project, with a copy of the remote."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "project"


def arrival(root: Path) -> Path:
    """The pointer's file."""
    (pointer,) = (root / "arrivals").glob("*.parquet.dvc")
    return pointer.with_suffix("")


def objects(folder: Path) -> list[Path]:
    """The objects in a cache or a remote."""
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.parent.name == "md5"]


def test_a_missing_file_comes_back_from_the_cache(root: Path) -> None:
    content = arrival(root).read_bytes()
    arrival(root).unlink()
    assert restore_arrivals(root, project.project_params(root)) == [arrival(root)]
    assert arrival(root).read_bytes() == content
    assert restore_arrivals(root, project.project_params(root)) == []


def test_a_fresh_clone_gets_its_arrivals_from_the_remote(root: Path, tmp_path: Path) -> None:
    project.git(tmp_path, "clone", "-q", str(root), "clone")
    clone = tmp_path / "clone"
    assert not arrival(clone).exists()
    restore_arrivals(clone, project.project_params(clone))
    assert arrival(clone).read_bytes() == arrival(root).read_bytes()


def test_a_damaged_object_in_the_cache_is_replaced_by_the_one_in_the_remote(root: Path, tmp_path: Path) -> None:
    content = arrival(root).read_bytes()
    arrival(root).unlink()
    (cached,) = objects(root / ".dvc" / "cache")
    overwrite(cached, "x" * len(content))
    restore_arrivals(root, project.project_params(root))
    assert arrival(root).read_bytes() == content
    arrival(root).unlink()
    for damaged in [*objects(root / ".dvc" / "cache"), *objects(tmp_path / "store")]:
        overwrite(damaged, "x" * len(content))
    with pytest.raises(
        UserError, match=f"{arrival(root).name}: expected the file that DVC keeps, found none here, in "
    ):
        restore_arrivals(root, project.project_params(root))
    assert not arrival(root).exists() and not objects(root / ".dvc" / "cache")


def test_a_file_that_nobody_has_stops_the_run_with_the_ways_on(root: Path, tmp_path: Path) -> None:
    arrival(root).unlink()
    for gone in [*objects(root / ".dvc" / "cache"), *objects(tmp_path / "store")]:
        gone.unlink()
    with pytest.raises(UserError, match="; `dvc checkout .*`dvc pull .*; `git rm .*` gives its rows up") as error:
        restore_arrivals(root, project.project_params(root))
    assert "\n" not in str(error.value)
    project.git(root, "rm", "-q", "-f", f"arrivals/{arrival(root).name}.dvc")
    assert restore_arrivals(root, project.project_params(root)) == []


def test_a_changed_file_stops_the_run_and_a_dangling_link_is_replaced(root: Path) -> None:
    content = arrival(root).read_bytes()
    arrival(root).write_bytes(content[:-1])
    both = (
        f"`rm arrivals/{arrival(root).name}` and `git rm arrivals/{arrival(root).name}.dvc` together give its rows up"
    )
    with pytest.raises(UserError, match=f"found another; `dvc checkout .*{both}"):
        restore_arrivals(root, project.project_params(root))
    entry = {"ids": ["a"], "arrivals": [f"arrivals/{arrival(root).name}"]}
    append_entry(root, "forget", entry)
    with pytest.raises(UserError, match="was cut off while it rewrote this file: run the same `gleaner forget` again"):
        restore_arrivals(root, project.project_params(root))
    append_entry(root, "forgotten", {"ids": ["a", "b"]})
    with pytest.raises(UserError, match="found another; `dvc checkout"):
        restore_arrivals(root, project.project_params(root))
    arrival(root).unlink()
    arrival(root).symlink_to("/gone/with/the/cache")
    restore_arrivals(root, project.project_params(root))
    assert arrival(root).read_bytes() == content and not arrival(root).is_symlink()


def test_the_stage_ingest_refuses_a_pointer_without_its_file(root: Path) -> None:
    project.run_ingest(root)
    arrival(root).unlink()
    with pytest.raises(
        UserError, match=rf"{arrival(root).name}: expected the file that its pointer .* names, found none"
    ):
        project.run_ingest(root)
    environment = {**os.environ, "PYTHONPATH": str(project.ROOT)}
    command = [sys.executable, "-m", "pipeline.stages.ingest"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
