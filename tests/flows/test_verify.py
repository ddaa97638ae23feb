"""`gleaner verify-version` in a project whose stages copy files: its verdicts, and that the user's files stay."""

import hashlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from cli import verify_version
from pipeline.core.errors import UserError
from pipeline.models import classifier
from tests.support.flow_project import BIN, count_versions, run_gleaner, tool_environment
from tests.support.real_project import git, set_params
from tests.support.registered_versions import STAGES, register, register_three_versions, write_raw_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Path]:
    """The project with its three versions."""
    with pytest.MonkeyPatch.context() as patch:
        yield register_three_versions(tmp_path_factory.mktemp("versions") / "project", prefect_server, patch)


def version_tags(root: Path, number: int) -> dict[str, str]:
    """The tags of a version."""
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return dict(client.get_model_version("gleaner-demo", str(number)).tags)


def stage_outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The outcome of each stage in the printed table: stage -> outcome."""
    outcomes = dict(re.findall(r"│ (\w[\w ]*\w)\s+│ (match|differs|as recorded|failed) ", done.stdout))
    assert outcomes.pop("served bundle") == "match"
    return outcomes


def file_digests(root: Path) -> dict[str, str]:
    """Digests of the user's files: tree, index, refs, outputs, dvc.lock, DVC's cache and configuration."""
    names = [".git/index", ".git/HEAD", ".git/refs", ".dvc/cache", ".dvc/config", "store", "raw", "pipeline"]
    names += ["dvc.lock", "dvc.yaml", "params.yaml", *(f"data/{stage}" for stage in STAGES)]
    files = [
        file for name in names for file in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))
    ]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def is_worktree_gone(root: Path) -> bool:
    """Whether there is no worktree, and no file of one."""
    listed = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    return listed.count("\n") == 1 and not list((root / "data" / "scratch" / "verify").iterdir())


def test_a_version_is_rebuilt_bit_for_bit_and_no_file_of_the_user_changes(project: Path) -> None:
    write_raw_rows(project, "money back")  # as they were, so that ingest can run again, too
    before = file_digests(project)
    done = run_gleaner(project, "verify-version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stage_outcomes(done) == dict.fromkeys(STAGES, "match")
    assert "gleaner-demo version 1 matches bit for bit: 3 stages rebuilt" in done.stdout
    assert file_digests(project) == before and is_worktree_gone(project)
    tags = version_tags(project, 1)
    assert tags["gleaner.verified"] == "match" and tags["gleaner.verified_at"].endswith("+00:00")
    write_raw_rows(project, "money back", "never seen")


def test_a_dirty_version_is_rebuilt_with_its_patch_from_recorded_outputs_in_the_remote(project: Path) -> None:
    shutil.move(project / ".dvc" / "cache", project / ".dvc" / "away")
    try:
        done = run_gleaner(project, "verify-version", "2")
    finally:
        shutil.rmtree(project / ".dvc" / "cache", ignore_errors=True)
        shutil.move(project / ".dvc" / "away", project / ".dvc" / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stage_outcomes(done) == dict.fromkeys(STAGES, "match") | {"ingest": "as recorded"}
    assert "ingest: raw/rows.csv is not what it was, or not here" in done.stdout
    assert version_tags(project, 2)["gleaner.verified_not_rebuilt"] == "ingest"


def test_a_stage_with_another_output_is_named_and_no_later_stage_runs(project: Path) -> None:
    done = run_gleaner(project, "verify-version", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert stage_outcomes(done) == {"ingest": "as recorded", "shout": "differs"}
    assert "shout: data/shout/rows.csv" in done.stdout and "gleaner-demo version 3 differs at shout" in done.stdout
    tags = version_tags(project, 3)
    assert (tags["gleaner.verified"], tags["gleaner.verified_differs_at"]) == ("differs", "shout")
    assert is_worktree_gone(project)


def test_ctrl_c_leaves_nothing_behind_and_the_next_run_removes_the_rest_of_a_killed_one(
    project: Path, tmp_path: Path
) -> None:
    before, tags = file_digests(project), version_tags(project, 3)
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with (tmp_path / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [f"{BIN}/gleaner", "verify-version", "3"], cwd=project, env=tool_environment(project), stderr=stderr
            )
        try:
            wait_for(lambda: any((project / "data" / "scratch" / "verify").glob("*/tree/data/ingest")))
            process.send_signal(number)
            assert process.wait(60) == code, (tmp_path / "stderr").read_text()
        finally:
            process.kill()
        assert is_worktree_gone(project) is (number == signal.SIGINT)
    done = run_gleaner(project, "verify-version", "3", "--stage", "ingest")
    assert done.returncode == 0 and list(stage_outcomes(done)) == ["ingest"]
    assert "up to ingest; this is not recorded" in done.stdout and version_tags(project, 3) == tags
    assert is_worktree_gone(project) and file_digests(project) == before


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("version", "stage", "expected"),
    [
        ("9", None, r"gleaner-demo: expected one of its versions 1 \(champion\), 2, 3 \(challenger\), found 9; "),
        ("best", None, r"gleaner-demo: expected one of its versions .* found best; correct it"),
        ("1", "wrong", r"--stage: expected a stage of gleaner-demo version 1, .*; found wrong; correct it"),
    ],
)
def test_an_unknown_version_or_stage_is_one_line_and_exit_code_2(
    project: Path, version: str, stage: str | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_version.main(project, version, stage) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and re.fullmatch(f"error: {expected}.*\n", printed.err)


def test_a_missing_commit_is_reported_before_anything_starts(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", "cache"))
    (tmp_path / "copy").mkdir(exist_ok=True)
    git(tmp_path / "copy", "init", "-q")
    assert verify_version.main(tmp_path / "copy", "1", None) == 2
    assert re.fullmatch(r"error: gleaner-demo version 1: expected its commit \w+ in this .*\n", capsys.readouterr().err)


def test_a_dirty_tree_is_not_registered_where_clean_ones_are_required(project: Path) -> None:
    set_params(project, registry={"require_clean": True}, synonyms={"seed": 8})
    try:
        with pytest.raises(UserError, match="registry.require_clean: expected a working tree as it was committed"):
            register(project)
    finally:
        git(project, "checkout", "-q", "params.yaml")
    assert count_versions(project) == 3


def test_a_changed_bundle_is_detected_even_with_a_manifest_that_fits(project: Path) -> None:
    """One changed bit with a new digest in the manifest passes every check on load."""
    source = MlflowClient(f"sqlite:///{project / 'mlflow.db'}").get_model_version("gleaner-demo", "2").source
    bundle = next(path for path in (project / "mlruns").rglob("bundle") if str(source).split("/")[-1] in str(path))
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[-1] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    classifier.seal(bundle)
    done = run_gleaner(project, "verify-version", "2")
    assert done.returncode == 1 and "gleaner-demo version 2 differs at served bundle" in done.stdout
    assert "served bundle/model.onnx" in done.stdout
