"""A user's errors in `gleaner run` are one clear line and exit code 2; unusual but valid data give a result."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.params import read_yaml
from tests.support.flow_project import ROOT, printed_outcomes
from tests.support.real_project import copy_project, run_tool, set_params

# The stages of `dvc repro` in one process: on few rows, most of a stage's time is the import of libraries.
EVERY_STAGE = """
import runpy, sys
for stage in sys.argv[1:]:
    runpy.run_module(f"pipeline.stages.{stage}", run_name="__main__", alter_sys=True)
"""
Spoil = Callable[[Path], None]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, prefect_server: str) -> Path:
    """The project without errors; each test works in a copy."""
    return copy_project(tmp_path_factory.mktemp("right") / "gleaner", tiny_encoder, prefect_server)


@pytest.fixture
def copied(project: Path, tmp_path: Path) -> Path:
    """The copy of the project that a test changes."""
    return Path(shutil.copytree(project, tmp_path / "gleaner"))


def change_ingest(**values: Any) -> Spoil:
    """A function that sets values in the section ingest of a project."""
    return lambda root: set_params(root, ingest=values)


def label_all_alike(root: Path) -> None:
    """Give every training row the label of the first."""
    path = root / "data" / "demo" / "train.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"intent": rows[0]["intent"]} for row in rows)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("finetune", {"lrr": 1}, "finetune.lrr: expected no such key, found 1; remove it or correct its spelling"),
        ("finetune", {"lr": "fast"}, 'finetune.lr: expected a number, found "fast"'),
    ],
)
def test_params_are_refused_before_anything_starts(
    copied: Path, section: str, values: dict[str, Any], message: str
) -> None:
    set_params(copied, **{section: values})
    done = run_tool(copied, "gleaner", "run")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    assert not (copied / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            change_ingest(train=["absent.csv"]),
            'ingest.train: expected a file that matches "absent.csv", found none; ingest.path holds README.md, ',
        ),
        (
            change_ingest(path="data/absent"),
            "ingest: expected the input .*data/absent, found no such file; correct its path",
        ),
        (
            change_ingest(columns=read_yaml(ROOT / "params.yaml")["ingest"]["columns"] | {"label": "topic"}),
            "train.csv: expected the columns text, topic, customer; missing topic, found text, intent, customer; ",
        ),
        (label_all_alike, "ingest.train: expected labelled training rows of at least 2 classes, found 64 rows of 1; "),
    ],
)
def test_unusable_data_stop_the_run_in_ingest(copied: Path, spoil: Spoil, message: str) -> None:
    spoil(copied)
    done = run_tool(copied, "gleaner", "run")
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("error: ") == 1 and re.search(f"^error: {message}", done.stdout, re.MULTILINE), done.stdout
    outcomes = printed_outcomes(done)
    assert outcomes.pop("ingest") == "failed" and set(outcomes.values()) == {"not reached"}


@pytest.mark.parametrize("values", [{"unlabelled": []}, {"labels_per_class": 1}], ids=["no pool", "one label a class"])
def test_little_data_is_no_error(copied: Path, values: dict[str, Any]) -> None:
    set_params(copied, ingest=values)
    stages = list(read_yaml(copied / "dvc.yaml")["stages"])
    subprocess.run([sys.executable, "-c", EVERY_STAGE, *stages], cwd=copied, check=True)
    metrics = {stage: json.loads((copied / "data" / stage / "metrics.json").read_text()) for stage in stages}
    rows = metrics["ingest"]["rows"]
    assert (rows["train"], rows["unlabelled"]) == ((64, 0) if "unlabelled" in values else (8, 80 + 56))
    assert 0 <= metrics["evaluate"]["accuracy"] <= 1 and metrics["finetune"]["steps"] > 0
