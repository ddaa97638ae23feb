"""Fine-tuning on real files with a tiny encoder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pipeline.core import params as parameters
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths, write_json
from pipeline.models import network
from tests.support.finetuning import LABELS, Change, Rows, model_files, remove_validation_rows, run_finetune
from tests.support.loaded_modules import loaded_by

QUICK = {"epochs": 6, "lr": 3e-3, "head_lr": 0.05, "evaluate_steps": 10, "checkpoint_steps": 5, "patience": 3}


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """Inputs of the stage: 60 gold, 20 synonyms, 10 pseudo-labelled and 30 validation rows, and a teacher's head."""
    import torch

    paths = Paths(tmp_path)
    parts = {
        "ingest": pairs[:60],
        "synonyms": pairs[60:80],
        "back_translate": [],
        "swaps": [],
        "pseudo_label": pairs[80:90],
    }
    origins = {"ingest": "gold", "synonyms": "synonym", "back_translate": "back_translation"}
    origins |= {"swaps": "counterfactual", "pseudo_label": "pseudo"}
    for stage, part in parts.items():
        weight = 1.0 if stage == "ingest" else 0.5
        table.write(rows(part, origins[stage], weight=weight), paths.data(stage) / "train.parquet")
    table.write(rows(pairs[96:]), paths.data("ingest") / "validation.parquet")
    write_json({"labels": LABELS, "descriptions": {}}, paths.data("ingest") / "labels.json")
    shutil.copytree(tiny_encoder, paths.data("pretrain") / "encoder")
    torch.manual_seed(3)
    head = {"weight": torch.randn(3, 32), "bias": torch.zeros(3)}
    save_file(head, paths.data("pseudo_label") / "head.safetensors")
    return paths


def test_it_learns_and_reports_rows_by_origin(project: Paths, params: Change) -> None:
    metrics = run_finetune(project, params({"finetune": QUICK}))
    assert metrics["rows"] == {"gold": 60, "pseudo": 10, "synonym": 20}
    assert metrics["validation_rows"] == 30
    assert metrics["best_validation_accuracy"] >= 0.9
    history = pd.read_csv(project.data("finetune") / "history.csv")
    assert list(history.columns) == ["step", "loss", "eval_loss", "eval_accuracy", "lr"]
    assert history["eval_loss"].min() == pytest.approx(metrics["best_validation_loss"], abs=1e-6)
    assert (project.data("finetune") / "history.png").read_bytes().startswith(b"\x89PNG")
    assert not list(project.scratch("finetune").glob("*/checkpoint-*")), "checkpoints outlive the stage's outputs"


def test_the_model_has_the_weights_of_the_best_evaluation_not_of_the_last(
    project: Paths, params: Change, rows: Rows, pairs: list[tuple[str, str]]
) -> None:
    import torch

    wrong = [(text, LABELS[LABELS.index(label) - 1]) for text, label in pairs[96:]]  # what it learns is wrong here
    table.write(rows(wrong), project.data("ingest") / "validation.parquet")
    metrics = run_finetune(project, params({"finetune": QUICK | {"epochs": 9, "evaluate_steps": 3, "patience": 4}}))
    net, tokenizer, _ = network.load(project.data("finetune") / "model")
    validation = table.read(project.data("ingest") / "validation.parquet")
    batch = tokenizer(validation["text"].tolist(), padding=True, return_tensors="pt", return_token_type_ids=False)
    targets = torch.eye(3)[[LABELS.index(label) for label in validation["label"]]]
    with torch.no_grad():
        loss = net(**batch, targets=targets)["loss"].item()
    assert loss == pytest.approx(metrics["best_validation_loss"], abs=1e-4)
    assert metrics["best_step"] < metrics["steps"]
    assert metrics["steps"] < 9 * 6, "early stopping did not end the training"


def test_without_validation_it_takes_the_steps_that_params_say(project: Paths, params: Change) -> None:
    remove_validation_rows(project)
    metrics = run_finetune(project, params({"finetune": QUICK | {"epochs": 0.5}}))
    assert metrics["validation_rows"] == 0 and metrics["steps"] == 3
    assert "best_validation_loss" not in metrics


def test_two_runs_write_the_same_bytes(project: Paths, params: Change) -> None:
    settings = params({"finetune": QUICK | {"epochs": 1}})
    first = run_finetune(project, settings), model_files(project)
    assert (run_finetune(project, settings), model_files(project)) == first


def test_teacher_head_ships_the_teachers_head(project: Paths, params: Change) -> None:
    metrics = run_finetune(project, params({"finetune": {"method": "teacher_head"}}))
    assert metrics["steps"] == 0 and metrics["validation_rows"] == 30 and "best_validation_accuracy" in metrics
    written = load_file(project.data("finetune") / "model" / "head.safetensors")
    teacher = load_file(project.data("pseudo_label") / "head.safetensors")
    assert all(written[name].equal(teacher[name]) for name in teacher)
    assert same_encoder(project)


def test_teacher_head_is_shipped_without_validation_rows_too(project: Paths, params: Change) -> None:
    remove_validation_rows(project)
    metrics = run_finetune(project, params({"finetune": {"method": "teacher_head"}}))
    assert metrics["steps"] == 0 and metrics["validation_rows"] == 0
    assert (project.data("finetune") / "history.png").exists()


@pytest.mark.slow
def test_teacher_head_needs_no_torch_once_the_encoder_is_exported(project: Paths, params: Change) -> None:
    settings = params({"finetune": {"method": "teacher_head"}})
    metrics = run_finetune(project, settings)  # exports the encoder's graph, which the stage before has done in a run
    (project.root / "params.yaml").write_text(parameters.to_yaml(settings.model_dump(mode="json")))
    assert loaded_by(project.root, "-m", "pipeline.stages.finetune") <= {
        "openvino",
        "onnx",
        "onnxruntime",
        "scipy",
        "matplotlib",
    }
    again = json.loads((project.data("finetune") / "metrics.json").read_text())
    assert again["best_validation_loss"] == pytest.approx(metrics["best_validation_loss"], abs=1e-5)
    assert again["parameters"] == metrics["parameters"]


def same_encoder(paths: Paths) -> bool:
    before = load_file(paths.data("pretrain") / "encoder" / "model.safetensors")
    after = load_file(paths.data("finetune") / "model" / "encoder" / "model.safetensors")
    return all(before[name].equal(after[name]) for name in before)


def test_a_random_head_learns_over_a_frozen_encoder(project: Paths, params: Change) -> None:
    remove_validation_rows(project)
    metrics = run_finetune(project, params({"finetune": QUICK | {"method": "head", "start": "random", "head_lr": 0.5}}))
    assert metrics["last_loss"] < 1.0 and metrics["steps"] == 36
    assert same_encoder(project)


def test_rows_of_weight_0_do_not_train(
    project: Paths, params: Change, rows: Rows, pairs: list[tuple[str, str]]
) -> None:
    table.write(rows(pairs[60:80], "synonym", weight=0.0), project.data("synonyms") / "train.parquet")
    assert run_finetune(project, params({"finetune": QUICK | {"max_steps": 1}}))["rows"] == {"gold": 60, "pseudo": 10}


def test_a_label_that_ingest_does_not_know_is_named_by_file_and_row(project: Paths, params: Change, rows: Rows) -> None:
    unknown = rows([("what is this", "complaint")], "synonym")
    table.write(unknown, project.data("synonyms") / "train.parquet")
    with pytest.raises(UserError, match=rf"synonyms/train\.parquet: .*found 1 rows .*{unknown['id'][0]}"):
        run_finetune(project, params())


def test_a_teachers_head_of_other_labels_is_refused(project: Paths, params: Change) -> None:
    write_json({"labels": [*LABELS, "praise"], "descriptions": {}}, project.data("ingest") / "labels.json")
    with pytest.raises(UserError, match=r"head\.safetensors: expected a linear head of .*\(4, 32\).*found .*\(3, 32\)"):
        run_finetune(project, params())


@pytest.mark.slow
def test_a_killed_run_ends_with_the_weights_and_metrics_of_an_unbroken_one(
    project: Paths, params: Change, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = params({"finetune": QUICK | {"epochs": 12, "patience": 40, "evaluate_steps": 7}})
    (project.root / "params.yaml").write_text(parameters.to_yaml(settings.model_dump()))
    broken = Paths(tmp_path_factory.mktemp("broken") / "project")
    shutil.copytree(project.root, broken.root)
    command = [sys.executable, "-m", "pipeline.stages.finetune"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    subprocess.run(command, cwd=project.root, env=environment, check=True, capture_output=True)

    process = subprocess.Popen(command, cwd=broken.root, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(broken.scratch("finetune").glob("*/checkpoint-2?/complete.json")):
        assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (broken.data("finetune") / "metrics.json").exists()
    subprocess.run(command, cwd=broken.root, env=environment, check=True, capture_output=True)

    metrics = [json.loads((paths.data("finetune") / "metrics.json").read_text()) for paths in (broken, project)]
    assert metrics[0] == metrics[1]
    assert model_files(broken) == model_files(project)
    curves = [(paths.scratch("finetune") / "curves.jsonl").read_text() for paths in (broken, project)]
    assert curves[0] == curves[1]
