"""A project of one's own, made from the wheel: it holds no code, and an upgrade of Gleaner reruns what it changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.params import read_yaml
from tests.support.installed import git, run_installed, unpack_wheel

INGEST_OUTPUTS = {"train.parquet", "validation.parquet", "test.parquet", "unlabelled.parquet", "labels.json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of the wheel."""
    return unpack_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def root(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as a project, with its first stage run."""
    folder = tmp_path_factory.mktemp("own")
    made = run_installed(site, folder, "cli", "init", "demo", "--example", "demo")
    assert made.returncode == 0, made.stderr
    assert "git: first commit" in made.stdout and "Next: cd demo && gleaner run" in made.stdout
    done = run_installed(site, folder / "demo", "dvc", "repro", "ingest")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "demo"


@pytest.fixture
def other_code(site: Path) -> Iterator[None]:
    """Another Gleaner is installed, in which the stage synonyms has other code."""
    path = site / "pipeline" / "stages" / "synonyms.py"
    before = path.read_text()
    path.write_text(before + "# another version\n")
    yield
    path.write_text(before)


def test_the_project_holds_no_code_and_its_stages_run(root: Path) -> None:
    assert not [path for path in root.rglob("*.py") if "demo/generate" not in path.as_posix()]
    assert {path.name for path in (root / "data" / "ingest").iterdir()} >= INGEST_OUTPUTS
    assert git(root, "status", "--porcelain") in ("", "?? dvc.lock\n")
    deps = [dep for stage in read_yaml(root / "dvc.yaml")["stages"].values() for dep in stage["deps"]]
    assert deps and not [dep for dep in deps if dep.startswith("pipeline/")]


def test_other_installed_code_is_refused_before_a_stage_runs(site: Path, root: Path, other_code: None) -> None:
    done = run_installed(site, root, "dvc", "repro", "--force", "--single-item", "synonyms")
    assert done.returncode != 0
    assert "with other code of synonyms; run `gleaner upgrade`, or install the former version" in done.stderr


def test_an_upgrade_reruns_what_changed_and_can_be_undone_by_git(site: Path, root: Path, other_code: None) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-m", "before")
    params, definition = root / "params.yaml", root / "dvc.yaml"
    text = params.read_text()
    params.write_text(text.replace("  max_rejected_share: 0.1 ", "  # by hand\n  old_key: 3 "))
    definition.write_text(definition.read_text().replace("stages:\n", "stages:\n  mine:\n    cmd: echo mine\n", 1))
    refused = run_installed(site, root, "cli", "upgrade")
    assert refused.returncode == 2
    assert "found changes in dvc.yaml, params.yaml; commit" in refused.stderr
    git(root, "commit", "-am", "mine")
    pinned = read_yaml(root / "gleaner.yaml")["stages"]
    shown = run_installed(site, root, "cli", "upgrade", "--dry-run")
    assert "+  max_rejected_share: 0.1" in shown.stdout and git(root, "status", "--porcelain") == ""
    done = run_installed(site, root, "cli", "upgrade")
    assert done.returncode == 0, done.stderr
    assert "params.yaml: new ingest.max_rejected_share" in done.stdout
    assert "params.yaml: ingest.old_key is no longer read; removed" in done.stdout
    # the section of ingest has another key, and all stages come after it; the user's own stage does not
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Stages that run again: ")]
    assert line.startswith("Stages that run again: ingest, pretrain, synonyms") and "mine" not in line
    assert read_yaml(definition)["stages"]["mine"] == {"cmd": "echo mine"}
    upgraded = read_yaml(root / "gleaner.yaml")["stages"]
    assert {name for name in pinned if pinned[name] != upgraded[name]} == {"synonyms"}
    again = run_installed(site, root, "cli", "upgrade")
    assert "nothing to do" in again.stdout
    git(root, "checkout", "-q", ".")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    assert params.read_text() == text


def test_a_folder_with_files_and_an_unknown_example_are_refused(site: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    full = run_installed(site, tmp_path, "cli", "init", "full")
    unknown = run_installed(site, tmp_path, "cli", "init", "new", "--example", "nothing")
    without_data = run_installed(site, tmp_path, "cli", "init", "new", "--example", "banking77")
    assert [done.returncode for done in (full, unknown, without_data)] == [2, 2, 2]
    assert "expected a new or empty folder for the project, found files" in full.stderr
    assert "--example: expected one of demo, ag_news, banking77" in unknown.stderr
    assert "expected the folder of the data in GLEANER_DATA" in without_data.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]
