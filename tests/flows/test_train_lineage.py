"""`gleaner run` registers what it began with, or nothing: params edited meanwhile, git that fails, a damaged cache."""

import json
import os
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.core.params import read_yaml, to_yaml
from tests.support.flow_project import (
    METRICS,
    announce_server,
    count_versions,
    make_project,
    mlflow_runs,
    printed_outcomes,
    run_gleaner,
)
from tests.support.registering import git
from tests.support.stage_project import overwrite

pytestmark = pytest.mark.slow
EDIT = "sed -i 's/^  retries: .*/  retries: 1/' params.yaml && git -c user.name=t -c user.email=t@t commit -qam edited"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A committed project; its stage evaluate edits params.yaml and commits it, but only once."""
    root = make_project(tmp_path_factory.mktemp("lineage"))
    announce_server(root, prefect_server)
    graph = read_yaml(root / "dvc.yaml")
    evaluate = graph["stages"]["evaluate"]
    evaluate["cmd"] = f"{{ [ -e edited ] || {{ touch edited && {EDIT}; }}; }} && {evaluate['cmd']}"
    graph["stages"]["ingest"] = {"cmd": "mkdir -p data/ingest && touch data/ingest/params.yaml"}
    graph["stages"]["ingest"]["outs"] = ["data/ingest/params.yaml"]
    (root / "dvc.yaml").write_text(to_yaml(graph))
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "/edited\n/.loopback\n/synonyms\n/back\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_git_that_fails_stops_the_run_before_anything_is_trained(project: Path) -> None:
    os.chown(project, 1234, 1234)
    done = run_gleaner(project, "run")
    os.chown(project, 0, 0)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert "dubious ownership" in done.stderr and "git config --global --add safe.directory" in done.stderr
    assert not (project / "data" / "ingest").exists() and not mlflow_runs(project)


def test_params_that_are_committed_while_a_stage_runs_are_registered_by_no_version(project: Path) -> None:
    before = git(project, "rev-parse", "--short=12", "HEAD")
    done = run_gleaner(project, "run")
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert f"found: {before} was checked out, now" in done.stdout and "params.yaml changed" in done.stdout
    assert "nothing is registered" in done.stdout and count_versions(project) == 0
    assert mlflow_runs(project)[0].info.status == "FAILED"
    again = run_gleaner(project, "run")
    assert again.returncode == 0 and set(printed_outcomes(again).values()) == {"cached"}
    (version,) = MlflowClient(f"sqlite:///{project / 'mlflow.db'}").search_model_versions("name = 'gleaner-demo'")
    assert version.tags["gleaner.git_commit"] == git(project, "rev-parse", "HEAD")
    assert version.tags["gleaner.git_dirty"] == "false"


def test_a_damaged_metric_in_the_cache_is_measured_again(project: Path) -> None:
    metrics = project / "data" / "evaluate" / "metrics.json"
    whole = metrics.read_text()
    objects = (path for path in (project / ".dvc" / "cache" / "files").rglob("*") if path.is_file())
    (cached,) = [path for path in objects if path.read_bytes() == whole.encode()]
    overwrite(cached, whole.replace('"accuracy": 0.9,', '"accuracy": 1.8,', 1))
    shutil.rmtree(project / "data" / "evaluate")
    done = run_gleaner(project, "run")
    assert done.returncode == 0 and printed_outcomes(done)["evaluate"] == "ran"
    assert "the DVC cache held other content than data/evaluate/metrics.json had" in done.stderr
    assert metrics.read_text() == whole == cached.read_text() and count_versions(project) == 1


def test_a_metric_out_of_its_range_is_refused_by_the_gate_as_a_fault(project: Path) -> None:
    given = project / "given" / "evaluate" / "metrics.json"
    before = given.read_text()
    given.write_text(json.dumps(METRICS | {"accuracy": 1.8}))
    done = run_gleaner(project, "run")
    given.write_text(before)
    assert done.returncode == 1 and "Gate: fail" in done.stdout and count_versions(project) == 1
    assert "fail: evaluate: expected accuracy from 0 to 1, found 1.8" in done.stdout


def test_a_project_without_git_is_registered_and_says_so(project: Path) -> None:
    shutil.rmtree(project / ".git")
    (project / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    with (project / "given" / "fairness" / "groups.csv").open("a") as file:
        file.write("customer,other,,3,few,0.5\n")
    done = run_gleaner(project, "run")
    assert done.returncode == 0 and count_versions(project) == 2, done.stdout + done.stderr
    assert "no git repository: a version is registered without commit and patch" in done.stderr
