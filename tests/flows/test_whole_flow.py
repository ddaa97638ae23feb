"""The whole path without stand-ins: `gleaner run` on a copy of this project, with a few rows and a tiny encoder."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.core.params import read_yaml
from tests.support import canary
from tests.support.flow_project import ROOT, printed_outcomes
from tests.support.real_project import (
    copy_project,
    find_process,
    git,
    run_tool,
    set_params,
    shorten,
    start_tool,
    wait_for_tool,
)
from tests.support.stage_files import ARTIFACTS

SHARED = ("shared.html", "MODEL_CARD.md")
FROM_FINETUNE = ["finetune", "export", "evaluate", "counterfactual", "fairness", "explain", "report"]
pytestmark = pytest.mark.slow


def successful_outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The outcome of each stage in the printed table, after a check that the exit code is 0."""
    assert done.returncode == 0, done.stdout + done.stderr
    return printed_outcomes(done)


def read_metrics(root: Path, stage: str) -> dict[str, object]:
    """The metrics of a stage."""
    metrics: dict[str, object] = json.loads((root / "data" / stage / "metrics.json").read_text())
    return metrics


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, prefect_server: str) -> Path:
    """The copy that every test of this file works in; some of its rows hold canary words."""
    root = copy_project(tmp_path_factory.mktemp("whole") / "gleaner", tiny_encoder, prefect_server)
    set_params(root, report={"examples": 100})  # the test row with a canary word is among them
    git(root, "commit", "-q", "-am", "more examples")
    canary.add_rows(root)
    return root


@pytest.fixture(scope="module")
def killed_run(project: Path) -> subprocess.CompletedProcess[str]:
    """A run whose training is killed after its first checkpoint."""
    run = start_tool(project, "gleaner", "run")
    scratch = project / "data" / "scratch" / "finetune"
    kill_when(scratch, "*/checkpoint-*/complete.json", "pipeline.stages.finetune", project)
    return wait_for_tool(run)


@pytest.fixture(scope="module")
def first_run(project: Path, killed_run: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The first run that comes to its end: it goes on from the killed one."""
    return run_tool(project, "gleaner", "run")


@pytest.fixture(scope="module")
def first(first_run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The outcome of each stage in the first run."""
    return successful_outcomes(first_run)


def test_every_stage_leaves_exactly_what_it_declares(project: Path, first: dict[str, str]) -> None:
    for stage, files in ARTIFACTS.items():
        folder = project / "data" / stage
        written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert written == files | {"metrics.json"}, stage


def test_a_killed_training_goes_on_from_its_checkpoint(
    project: Path,
    killed_run: subprocess.CompletedProcess[str],
    first_run: subprocess.CompletedProcess[str],
    first: dict[str, str],
) -> None:
    """The last test of this file rebuilds its version without a break, bit for bit."""
    assert killed_run.returncode == 1, killed_run.stderr
    not_reached = dict.fromkeys(FROM_FINETUNE[1:], "not reached")
    assert printed_outcomes(killed_run) == dict.fromkeys(ARTIFACTS, "ran") | {"finetune": "failed"} | not_reached
    assert first == {stage: "ran" if stage in FROM_FINETUNE else "cached" for stage in ARTIFACTS}
    resumed = re.search(r"finetune: goes on from step (\d+)", first_run.stderr)
    assert resumed and 0 < int(resumed[1]) < int(str(read_metrics(project, "finetune")["steps"]))


def test_no_stage_uses_the_network_beyond_loopback(project: Path, first: dict[str, str]) -> None:
    refused = project / ".loopback" / "refused"
    assert not refused.exists(), refused.read_text()


@pytest.mark.parametrize(
    "place",
    ["data/ingest", "data/ingest/train.parquet", "data/scratch", ".dvc/cache", "dvc-storage", "mlruns", "mlflow.db"],
)
def test_only_the_owner_can_read_what_holds_texts(project: Path, first: dict[str, str], place: str) -> None:
    assert (project / place).stat().st_mode & 0o077 == 0


def test_every_stage_is_up_to_date_for_dvc_after_the_flow(project: Path, first: dict[str, str]) -> None:
    assert json.loads(run_tool(project, "dvc", "status", "--json").stdout) == {}
    before = (project / "dvc.lock").read_bytes()
    assert "Running stage" not in run_tool(project, "dvc", "repro").stdout
    assert (project / "dvc.lock").read_bytes() == before


def test_files_and_training_curves_are_in_mlflow(project: Path, first: dict[str, str]) -> None:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    run, killed = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert (run.info.status, killed.info.status) == ("FINISHED", "FAILED")
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert artifacts >= {"params.yaml", "dvc.yaml", "dvc.lock", "shared.html", "MODEL_CARD.md"}
    lines = (project / "data" / "scratch" / "finetune" / "curves.jsonl").read_text().splitlines()
    assert len(client.get_metric_history(run.info.run_id, "finetune/lr")) == sum('"lr"' in line for line in lines) > 0


def test_dvc_shows_metrics_params_and_plots_offline(project: Path, first: dict[str, str]) -> None:
    shown = json.loads(run_tool(project, "dvc", "metrics", "show", "--json").stdout)[""]["data"]
    measured = {key: value for key, value in read_metrics(project, "evaluate").items() if value != {}}
    assert shown["data/evaluate/metrics.json"]["data"] == measured  # DVC leaves out a mapping without keys
    assert set(shown) == {f"data/{stage}/metrics.json" for stage in ARTIFACTS}

    set_params(project, finetune={"lr": 1e-4})
    different = json.loads(run_tool(project, "dvc", "params", "diff", "--json").stdout)["params.yaml"]
    set_params(project, finetune={"lr": read_yaml(ROOT / "params.yaml")["finetune"]["lr"]})
    assert different == {"finetune.lr": {"old": 2e-5, "new": 1e-4, "diff": 8e-5}}

    drawn = run_tool(project, "dvc", "plots", "show", "--out", "plots")
    assert drawn.returncode == 0, drawn.stderr
    page = (project / "plots" / "index.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert len(pictures) == len(read_yaml(ROOT / "dvc.yaml")["plots"])
    assert all((project / "plots" / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    shutil.rmtree(project / "plots")


def kill_when(folder: Path, pattern: str, module: str, root: Path) -> None:
    """Send SIGKILL to the process that runs a module as soon as a file matches the pattern."""
    deadline = time.monotonic() + 180
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)
    os.kill(find_process(module, root), signal.SIGKILL)


def test_another_learning_rate_reruns_finetune_and_what_follows(project: Path, first: dict[str, str]) -> None:
    set_params(project, finetune={"lr": 1e-4})
    done = run_tool(project, "dvc", "repro")
    assert re.findall(r"Running stage '(\w+)'", done.stdout) == FROM_FINETUNE, done.stderr


def test_after_dvc_repro_the_flow_runs_no_stage_and_registers_the_result(project: Path, first: dict[str, str]) -> None:
    done = run_tool(project, "gleaner", "run")
    assert successful_outcomes(done) == dict.fromkeys(ARTIFACTS, "cached")
    assert "Registered: gleaner-demo version 2" in done.stdout


def test_params_of_an_earlier_run_restore_its_outputs_and_its_version(project: Path, first: dict[str, str]) -> None:
    set_params(project, finetune={"lr": read_yaml(ROOT / "params.yaml")["finetune"]["lr"]})
    done = run_tool(project, "gleaner", "run")
    assert set(successful_outcomes(done).values()) == {"cached", "restored"}
    assert "Already registered: gleaner-demo version 1" in done.stdout


def test_a_version_outlives_the_cache_and_the_outputs(project: Path, first: dict[str, str]) -> None:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    run = client.get_run(str(client.get_model_version("gleaner-demo", "2").run_id))
    for name in ("dvc.lock", "params.yaml"):
        client.download_artifacts(run.info.run_id, name, str(project))
    for folder in (project / ".dvc" / "cache", *(project / "data" / stage for stage in ARTIFACTS)):
        shutil.rmtree(folder)
    pulled = run_tool(project, "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(run_tool(project, "dvc", "status", "--json").stdout) == {}
    assert read_metrics(project, "evaluate")["accuracy"] == run.data.metrics["evaluate.accuracy"]


def test_no_text_of_a_row_is_printed_logged_or_kept_by_prefect_or_mlflow(
    project: Path, killed_run: subprocess.CompletedProcess[str], first_run: subprocess.CompletedProcess[str]
) -> None:
    """After the runs above come a promotion, a file without a header, and a stage that crashes with a text in hand."""
    data, words = project / "data", (*canary.WORDS, canary.HEADLESS)
    in_data = canary.find_words(canary.WORDS, (path for path in data.rglob("*") if path.is_file()))
    for word, file in canary.FILE_OF_WORD.items():
        assert (data / file).as_posix() in in_data[word], "a word that is not in the data cannot leak"
    runs = [killed_run, first_run, run_tool(project, "gleaner", "promote", "--version", "2")]
    assert runs[-1].returncode == 1 and "Verdict: insufficient" in runs[-1].stdout, runs[-1].stderr
    with canary.restored_afterwards(data / "demo" / "unlabelled.csv") as rows:
        rows.write_text(canary.without_header(rows.read_text(encoding="utf-8")), encoding="utf-8")
        runs.append(run_tool(project, "gleaner", "run"))
    assert "a first row of 2 cells that are no names" in runs[-1].stdout
    with canary.restored_afterwards(project / "pipeline" / "stages" / "synonyms.py") as code:
        code.write_text(code.read_text().replace('if __name__ == "__main__":', canary.CRASH))
        runs.append(run_tool(project, "gleaner", "run"))
    crash = data / "scratch" / "synonyms" / "crash.txt"
    assert f"ValueError; its message may quote a row, so it is in {crash}" in runs[-1].stdout
    printed = "".join(done.stdout + done.stderr for done in runs).lower()
    assert [word for word in words if word in printed] == []
    files = list(canary.files_outside_data(project))
    assert {path.name for path in files} >= {"prefect.db", "mlflow.db", "promotion.html", *SHARED, "model.onnx"}
    assert {word: holders for word, holders in canary.find_words(words, files).items() if holders} == {}


def test_the_first_version_is_rebuilt_bit_for_bit_after_later_ones(project: Path, first: dict[str, str]) -> None:
    set_params(project, finetune={"lr": 1e-4}, report={"title": "Another title"})
    test_file = project / "data" / "demo" / "test.csv"  # its canary words are not committed: git cannot restore it
    before = test_file.read_bytes()
    shorten(test_file, 50)
    assert "gleaner-demo version 3" in run_tool(project, "gleaner", "run").stdout
    test_file.write_bytes(before)
    done = run_tool(project, "gleaner", "verify-version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"gleaner-demo version 1 matches bit for bit: {len(ARTIFACTS)} stages rebuilt\n" in done.stdout
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    assert client.get_model_version("gleaner-demo", "1").tags["gleaner.verified"] == "match"
    difference = json.loads(run_tool(project, "gleaner", "explain-version", "3", "--json").stdout)["difference"]
    assert difference["tables"]["data/ingest/test.parquet"] == {"was": 61, "now": 50, "added": 0, "removed": 11}
    assert difference["params"] == {"finetune.lr": [2e-5, 1e-4], "report.title": ["Gleaner report", "Another title"]}
