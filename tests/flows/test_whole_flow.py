"""The whole path for real: `gleaner run` on a copy of this project, some rows of the demo and a tiny random encoder."""

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
from tests.support.flow_project import ROOT
from tests.support.flow_project import outcomes as listed
from tests.support.real_project import change, command, end, forget, git, make, process_of, shorten, start

ENCODER = {
    f"encoder/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
}
NETWORK = {*ENCODER, "classifier.json", "head.safetensors"}
ARTIFACTS = {
    "ingest": {
        "labels.json",
        *(f"{name}.parquet" for name in ("train", "validation", "test", "unlabelled", "rejected")),
    },
    "pretrain": ENCODER,
    "synonyms": {"train.parquet"},
    "back_translate": {"train.parquet", "rejected.parquet"},
    "swaps": {"train.parquet", "unlabelled.parquet"},
    "pseudo_label": {
        *("train.parquet", "head.safetensors", "held_out.parquet"),
        *("rounds.csv", "rounds.png", "classes.csv", "groups.csv"),
    },
    "finetune": {"history.csv", "history.png", *(f"model/{name}" for name in NETWORK)},
    "export": {
        f"bundle/{name}" for name in (*NETWORK, "MANIFEST.json", "tokenizer.json", "model.onnx", "model.int8.onnx")
    },
    "evaluate": {"predictions.parquet", "per_class.csv", "confusion.png", "reliability.png"},
    "counterfactual": {"pairs.csv", "terms.csv", "flips.csv"},
    "fairness": {"groups.csv", "groups.png", "auc.csv", "augmentations.csv"},
    "explain": {
        *("attributions.parquet", "errors.parquet", "neighbours.parquet", "map.parquet", "map.png", "why.html"),
        *("classes.csv", "faithfulness.csv"),
    },
    "report": {"report.html", "shared.html", "MODEL_CARD.md"},
}
SHARED = ("shared.html", "MODEL_CARD.md")
AFTER = ["finetune", "export", "evaluate", "counterfactual", "fairness", "explain", "report"]
pytestmark = pytest.mark.slow


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the printed table says of each stage, the run having ended well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return listed(done)


def measured(root: Path, stage: str) -> dict[str, object]:
    """The metrics of a stage."""
    found: dict[str, object] = json.loads((root / "data" / stage / "metrics.json").read_text())
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, prefect_server: str) -> Path:
    """The copy that every test of this file works in; some of its rows have words that occur nowhere else."""
    root = make(tmp_path_factory.mktemp("whole") / "gleaner", tiny_encoder, prefect_server)
    change(root, report={"examples": 100})  # the test row with such a word among them
    git(root, "commit", "-q", "-am", "more examples")
    canary.plant(root)
    return root


@pytest.fixture(scope="module")
def ran(project: Path) -> subprocess.CompletedProcess[str]:
    """The first run."""
    return command(project, "gleaner", "run")


@pytest.fixture(scope="module")
def first(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """How each stage ended in the first run."""
    return outcomes(ran)


def test_every_stage_leaves_exactly_what_it_declares(project: Path, first: dict[str, str]) -> None:
    assert first == dict.fromkeys(ARTIFACTS, "ran")
    for stage, files in ARTIFACTS.items():
        folder = project / "data" / stage
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == files | {"metrics.json"}, stage


def test_no_stage_asks_for_anything_but_loopback(project: Path, first: dict[str, str]) -> None:
    refused = project / ".loopback" / "refused"
    assert not refused.exists(), refused.read_text()


def test_dvc_finds_nothing_to_do_after_the_flow(project: Path, first: dict[str, str]) -> None:
    assert json.loads(command(project, "dvc", "status", "--json").stdout) == {}
    before = (project / "dvc.lock").read_bytes()
    assert "Running stage" not in command(project, "dvc", "repro").stdout
    assert (project / "dvc.lock").read_bytes() == before


def test_files_and_training_curves_are_in_mlflow(project: Path, first: dict[str, str]) -> None:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    kept = {found.path for found in client.list_artifacts(run.info.run_id)}
    assert kept >= {"params.yaml", "dvc.yaml", "dvc.lock", "shared.html", "MODEL_CARD.md"}
    lines = (project / "data" / "scratch" / "finetune" / "curves.jsonl").read_text().splitlines()
    assert len(client.get_metric_history(run.info.run_id, "finetune/lr")) == sum('"lr"' in line for line in lines) > 0


def test_dvc_shows_metrics_params_and_plots_offline(project: Path, first: dict[str, str]) -> None:
    shown = json.loads(command(project, "dvc", "metrics", "show", "--json").stdout)[""]["data"]
    assert shown["data/evaluate/metrics.json"]["data"] == measured(project, "evaluate")
    assert set(shown) == {f"data/{stage}/metrics.json" for stage in ARTIFACTS}

    change(project, finetune={"lr": 1e-4})
    different = json.loads(command(project, "dvc", "params", "diff", "--json").stdout)["params.yaml"]
    change(project, finetune={"lr": read_yaml(ROOT / "params.yaml")["finetune"]["lr"]})
    assert different == {"finetune.lr": {"old": 2e-5, "new": 1e-4, "diff": 8e-5}}

    drawn = command(project, "dvc", "plots", "show", "--out", "plots")
    assert drawn.returncode == 0, drawn.stderr
    page = (project / "plots" / "index.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert len(pictures) == len(read_yaml(ROOT / "dvc.yaml")["plots"])
    assert all((project / "plots" / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    shutil.rmtree(project / "plots")


def test_a_training_that_is_killed_goes_on_and_ends_as_an_unbroken_one(
    project: Path, first: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "gleaner"
    shutil.copytree(project, broken, ignore=shutil.ignore_patterns("mlruns", "mlflow.db*"))
    forget(broken, *AFTER)
    run = start(broken, "gleaner", "run")
    kill_when(
        broken / "data" / "scratch" / "finetune", "*/checkpoint-*/complete.json", "pipeline.stages.finetune", broken
    )
    done = end(run)
    assert done.returncode == 1, done.stderr
    how = listed(done)
    assert [how[stage] for stage in AFTER] == ["failed", *["not reached"] * (len(AFTER) - 1)]
    assert not (broken / "data" / "finetune" / "metrics.json").exists()

    again = command(broken, "gleaner", "run")
    assert outcomes(again) == {stage: "ran" if stage in AFTER else "cached" for stage in ARTIFACTS}
    resumed = re.search(r"finetune: goes on from step (\d+)", again.stderr)
    assert resumed and 0 < int(resumed[1]) < int(str(measured(project, "finetune")["steps"]))
    for stage in ("finetune", "evaluate"):
        assert measured(broken, stage) == measured(project, stage)
    curves = [(root / "data/scratch/finetune/curves.jsonl").read_text() for root in (project, broken)]
    assert curves[0] == curves[1]


def kill_when(folder: Path, pattern: str, module: str, root: Path) -> None:
    """Send SIGKILL to the process that runs a module as soon as a file is there."""
    deadline = time.monotonic() + 180
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)
    os.kill(process_of(module, root), signal.SIGKILL)


def test_another_learning_rate_reruns_finetune_and_what_follows(project: Path, first: dict[str, str]) -> None:
    change(project, finetune={"lr": 1e-4})
    done = command(project, "dvc", "repro")
    assert re.findall(r"Running stage '(\w+)'", done.stdout) == AFTER, done.stderr


def test_the_flow_finds_all_cached_after_dvc_repro_alone_and_registers_it(project: Path, first: dict[str, str]) -> None:
    done = command(project, "gleaner", "run")
    assert outcomes(done) == dict.fromkeys(ARTIFACTS, "cached")
    assert "Registered: gleaner-demo version 2" in done.stdout


def test_what_was_measured_before_is_restored_and_its_version_found_again(project: Path, first: dict[str, str]) -> None:
    change(project, finetune={"lr": read_yaml(ROOT / "params.yaml")["finetune"]["lr"]})
    done = command(project, "gleaner", "run")
    assert set(outcomes(done).values()) == {"cached", "restored"}
    assert "Already registered: gleaner-demo version 1" in done.stdout


def test_a_version_outlives_the_cache_and_the_outputs(project: Path, first: dict[str, str]) -> None:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    run = client.get_run(str(client.get_model_version("gleaner-demo", "2").run_id))
    for name in ("dvc.lock", "params.yaml"):
        client.download_artifacts(run.info.run_id, name, str(project))
    for folder in (project / ".dvc" / "cache", *(project / "data" / stage for stage in ARTIFACTS)):
        shutil.rmtree(folder)
    pulled = command(project, "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(command(project, "dvc", "status", "--json").stdout) == {}
    assert measured(project, "evaluate")["accuracy"] == run.data.metrics["evaluate.accuracy"]


def test_no_text_of_a_row_is_printed_logged_or_kept_by_prefect_or_mlflow(
    project: Path, ran: subprocess.CompletedProcess[str]
) -> None:
    """After all that this file did, a promotion, a file without a header, and a stage that crashes over a text."""
    data, words = project / "data", (*canary.WORDS, canary.HEADLESS)
    in_data = canary.holders(canary.WORDS, (path for path in data.rglob("*") if path.is_file()))
    for word, file in canary.FOUND.items():
        assert (data / file).as_posix() in in_data[word], "the search says nothing unless the word went in"
    said = [ran, command(project, "gleaner", "promote", "--version", "2")]
    assert said[-1].returncode == 1 and "Verdict: insufficient" in said[-1].stdout, said[-1].stderr
    with canary.changed(data / "demo" / "unlabelled.csv") as rows:
        rows.write_text(canary.headless(rows.read_text(encoding="utf-8")), encoding="utf-8")
        said.append(command(project, "gleaner", "run"))
    assert "a first row of 2 cells that are no names" in said[-1].stdout
    with canary.changed(project / "pipeline" / "synonyms.py") as code:
        code.write_text(code.read_text().replace('if __name__ == "__main__":', canary.CRASH))
        said.append(command(project, "gleaner", "run"))
    assert f"ValueError: in {data / 'scratch' / 'synonyms' / 'crash.txt'}" in said[-1].stdout
    printed = "".join(done.stdout + done.stderr for done in said).lower()
    assert [word for word in words if word in printed] == []
    kept = list(canary.beside_the_data(project))
    assert {path.name for path in kept} >= {"prefect.db", "mlflow.db", "promotion.html", *SHARED, "model.onnx"}
    assert {word: files for word, files in canary.holders(words, kept).items() if files} == {}


def test_the_first_version_is_rebuilt_bit_for_bit_after_three_later_ones(project: Path, first: dict[str, str]) -> None:
    change(project, finetune={"lr": 1e-4})
    assert "gleaner-demo version 2" in command(project, "gleaner", "run").stdout
    change(project, report={"title": "Another title"})
    assert "gleaner-demo version 3" in command(project, "gleaner", "run").stdout
    given = project / "data" / "demo" / "test.csv"  # git does not hold it as it was read: it has such words
    before = given.read_bytes()
    shorten(given, 50)
    assert "gleaner-demo version 4" in command(project, "gleaner", "run").stdout
    given.write_bytes(before)
    done = command(project, "gleaner", "verify-version", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"gleaner-demo version 1 matches bit for bit: {len(ARTIFACTS)} stages rebuilt\n" in done.stdout
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    assert client.get_model_version("gleaner-demo", "1").tags["gleaner.verified"] == "match"
    told = json.loads(command(project, "gleaner", "explain-version", "4", "--json").stdout)["difference"]
    assert told["tables"]["data/ingest/test.parquet"] == {"was": 61, "now": 50, "added": 0, "removed": 11}
    assert told["params"] == {"finetune.lr": [2e-5, 1e-4], "report.title": ["Gleaner report", "Another title"]}
