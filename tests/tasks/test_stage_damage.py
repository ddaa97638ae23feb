"""Damaged outputs: whatever DVC believes or restores is read byte by byte, and made again if it is not what it was."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.stage import is_up_to_date
from tests.support.stage_project import BIN, cached_objects, make_stages, overwrite, run_stage, shell_stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stage has run; its outputs are a file and a folder."""
    root = tmp_path_factory.mktemp("damage")
    command = "cp raw/a data/copy/a && mkdir data/copy/many && cp raw/a data/copy/many/b && echo c > data/copy/many/c"
    make_stages(root, {"copy": shell_stage("copy", command, ["a", "many"], deps=["raw"])}, {"raw/a": "0.9"})
    assert run_stage(root, "copy").status == "ran"
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the project."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def assert_whole(root: Path) -> None:
    """Check the outputs, and that no damaged object is left."""
    made = {path.name: path.read_text() for path in (root / "data" / "copy").rglob("*") if path.is_file()}
    assert {name: made[name] for name in "abc"} == {"a": "0.9", "b": "0.9", "c": "c\n"}
    assert not cached_objects(root, "1.8") and len(cached_objects(root, "0.9")) == 1


def test_a_damaged_object_is_not_restored_but_made_again(project: Path) -> None:
    (cached,) = cached_objects(project, "0.9")
    overwrite(cached, "1.8")
    shutil.rmtree(project / "data")
    assert run_stage(project, "copy").status == "ran"
    assert_whole(project)


def test_a_damaged_object_that_dvc_checked_out_is_noticed(project: Path) -> None:
    (cached,) = cached_objects(project, "0.9")
    overwrite(cached, "1.8")
    shutil.rmtree(project / "data")
    subprocess.run([f"{BIN}/dvc", "checkout", "-q"], cwd=project, check=True)
    assert (project / "data" / "copy" / "a").read_text() == "1.8"
    assert run_stage(project, "copy").status == "ran"
    assert_whole(project)


@pytest.mark.parametrize("content", ["[]", "{{{", ""])
def test_a_damaged_list_of_a_folder_is_not_restored_but_made_again(project: Path, content: str) -> None:
    (listing,) = (project / ".dvc" / "cache" / "files").rglob("*.dir")
    overwrite(listing, content)
    shutil.rmtree(project / "data")
    assert run_stage(project, "copy").status == "ran"
    assert_whole(project)


def test_an_output_that_was_changed_with_its_old_time_and_size_is_restored(project: Path) -> None:
    assert is_up_to_date("copy", project)
    overwrite(project / "data" / "copy" / "many" / "b", "1.8")
    status = subprocess.run([f"{BIN}/dvc", "status"], cwd=project, check=True, capture_output=True, text=True)
    assert "up to date" in status.stdout  # DVC does not see it
    assert run_stage(project, "copy").status == "restored"
    assert_whole(project)


def test_whole_outputs_stay_as_they_are(project: Path) -> None:
    before = (project / "data" / "copy" / "a").stat().st_mtime_ns
    assert run_stage(project, "copy").status == "cached"
    assert (project / "data" / "copy" / "a").stat().st_mtime_ns == before
