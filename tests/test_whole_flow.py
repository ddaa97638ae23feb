"""The whole path for real: `gleaner run` on a copy of this project, some rows of the demo and a tiny random encoder."""

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.params import read_yaml, to_yaml

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
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
    "pseudo_label": {"train.parquet", "head.safetensors", "rounds.csv", "rounds.png"},
    "finetune": {"history.csv", "history.png", *(f"model/{name}" for name in NETWORK)},
    "export": {
        f"bundle/{name}" for name in (*NETWORK, "MANIFEST.json", "tokenizer.json", "model.onnx", "model.int8.onnx")
    },
    "evaluate": {"predictions.parquet", "per_class.csv", "confusion.png", "reliability.png"},
    "fairness": {"groups.csv", "groups.png"},
    "report": {"report.html", "MODEL_CARD.md"},
}
pytestmark = pytest.mark.slow


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment in the copy, none of the user's own servers known to it."""
    unwanted = ("PREFECT", "MLFLOW", "GIT_")
    known = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return subprocess.run(
        [f"{BIN}/{words[0]}", *words[1:]],
        cwd=root,
        env=known | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,  # the exit code is looked at by the tests
    )


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the printed table says of each stage."""
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"│ (\w+)\s+│ (ran|cached|restored|failed|not reached) ", done.stdout))


def shorten(path: Path, rows: int) -> None:
    """Keep some rows of a CSV file, drawn with a seed."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *random.Random(0).sample(lines, rows)])


def change(root: Path, **sections: dict[str, object]) -> None:
    """Set values in params.yaml."""
    content = read_yaml(root / "params.yaml")
    for section, values in sections.items():
        content[section] |= values
    (root / "params.yaml").write_text(to_yaml(content))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """What a commit of the working tree would hold, with few rows, the tiny encoder and no limits in the gate."""
    root = tmp_path_factory.mktemp("whole") / "gleaner"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).exists() and file != "dvc.lock":
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, root / file)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    for name, rows in (("unlabelled.csv", 80), ("test.csv", 60)):
        shorten(root / "data" / "demo" / name, rows)
    limits = dict.fromkeys(read_yaml(root / "params.yaml")["gate"])
    change(
        root,
        encoder={"source": "path", "name": str(tiny_encoder), "sha256": None, "max_length": 32},
        evaluate={"bootstrap": 100},
        fairness={"bootstrap": 100},
        gate=limits | {"min_test_rows": 10},
    )
    return root


@pytest.fixture(scope="module")
def first(project: Path) -> dict[str, str]:
    """How each stage ended in the first run."""
    return outcomes(command(project, "gleaner", "run"))


def test_every_stage_leaves_exactly_what_it_declares(project: Path, first: dict[str, str]) -> None:
    assert first == dict.fromkeys(ARTIFACTS, "ran")
    for stage, files in ARTIFACTS.items():
        folder = project / "data" / stage
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == files | {"metrics.json"}, stage


def test_dvc_finds_nothing_to_do_after_the_flow(project: Path, first: dict[str, str]) -> None:
    assert json.loads(command(project, "dvc", "status", "--json").stdout) == {}
    before = (project / "dvc.lock").read_bytes()
    assert "Running stage" not in command(project, "dvc", "repro").stdout
    assert (project / "dvc.lock").read_bytes() == before


def test_training_curves_are_in_mlflow(project: Path, first: dict[str, str]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    lines = (project / "data" / "scratch" / "finetune" / "curves.jsonl").read_text().splitlines()
    assert len(client.get_metric_history(run.info.run_id, "finetune/lr")) == sum('"lr"' in line for line in lines) > 0


def test_another_learning_rate_reruns_finetune_and_what_follows(project: Path, first: dict[str, str]) -> None:
    change(project, finetune={"lr": 1e-4})
    after = ["finetune", "export", "evaluate", "fairness", "report"]
    again = outcomes(command(project, "gleaner", "run"))
    assert again == {stage: "ran" if stage in after else "cached" for stage in ARTIFACTS}


def test_what_was_measured_before_is_restored_and_its_version_found_again(project: Path, first: dict[str, str]) -> None:
    change(project, finetune={"lr": read_yaml(ROOT / "params.yaml")["finetune"]["lr"]})
    done = command(project, "gleaner", "run")
    assert set(outcomes(done).values()) == {"cached", "restored"}
    assert "Already registered: gleaner-demo version 1" in done.stdout
