"""Methods that train a part of the encoder: low-rank changes and adapters, from training to the exported model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core import table
from pipeline.core.stage import Paths, write_json
from pipeline.models import classifier
from pipeline.stages import export
from pipeline.stages.finetune import low_rank, student
from tests.support.finetuning import (
    PARTIAL_METHODS,
    Change,
    Rows,
    finetune_params,
    read_task,
    remove_validation_rows,
    run_finetune,
    torch_logits,
    unlabelled_file,
    write_inputs,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return write_inputs(tmp_path, tiny_encoder, rows, pairs)


@pytest.mark.parametrize("method", PARTIAL_METHODS)
def test_a_small_part_learns_and_the_rest_is_unchanged(project: Paths, params: Change, method: str) -> None:
    remove_validation_rows(project)
    metrics = run_finetune(
        project, finetune_params(params, method=method, epochs=12, lr=0.1, head_lr=1e-9, dropout=0.0)
    )
    losses = pd.read_csv(project.data("finetune") / "history.csv")["loss"]
    assert losses[-15:].mean() < 0.9 * losses[:15].mean(), "the head hardly learns, so that the small part has to"
    assert metrics["trainable_parameters"] < 0.25 * metrics["parameters"]
    before = load_file(project.data("pretrain") / "encoder" / "model.safetensors")
    after = load_file(project.data("finetune") / "model" / "encoder" / "model.safetensors")
    assert before.keys() == after.keys(), "the saved encoder is not a plain one"
    changed = {name.split(".")[-2] for name in before if not before[name].equal(after[name])}
    assert changed == ({"query", "value"} if method in low_rank.METHODS else set())
    about = json.loads((project.data("finetune") / "model" / "classifier.json").read_text())
    assert ("adapters" in about) == (method not in low_rank.METHODS)


def test_trainable_parameters_are_counted_for_every_method(project: Paths, params: Change) -> None:
    full = run_finetune(project, finetune_params(params, max_steps=1))
    head = run_finetune(project, finetune_params(params, method="head", start="random", max_steps=1))
    lora = run_finetune(project, finetune_params(params, method="lora", max_steps=1))
    assert full["trainable_parameters"] == full["parameters"] == head["parameters"]
    assert head["trainable_parameters"] == 32 * 3 + 3
    assert lora["trainable_parameters"] == 32 * 3 + 3 + 2 * 2 * (32 + 32) * 4  # layers, query and value, A and B, rank
    assert lora["parameters"] == full["parameters"] + 2 * 2 * (32 + 32) * 4


@pytest.mark.parametrize("method", ["lora", "adalora", "bottleneck"])
def test_before_its_first_step_the_student_predicts_as_the_teachers_head(
    project: Paths, params: Change, method: str
) -> None:
    settings = finetune_params(params, method=method)
    net, tokenizer = student.build_network(read_task(project, settings), settings.finetune)
    texts = dict(tokenizer(["hello refund today"], return_tensors="pt", return_token_type_ids=False))
    before = net.eval()(**texts)["logits"]
    student.set_trainable(net, settings.finetune, steps=10)
    assert torch.allclose(net.eval()(**texts)["logits"], before, atol=1e-6)


def test_adalora_leaves_the_rank_that_params_say(
    project: Paths, params: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[Any] = []
    merge = low_rank.merge_into_weights
    monkeypatch.setattr(low_rank, "merge_into_weights", lambda encoder: merged.append(encoder) or merge(encoder))  # type: ignore[func-returns-value]
    remove_validation_rows(project)
    run_finetune(project, finetune_params(params, method="adalora", epochs=12))
    ranks = merged[0].peft_config["default"].rank_pattern
    assert sum(map(sum, ranks.values())) <= 4 * 4 < 4 * 6, "two layers' query and value, of rank 4 on average"
    assert {len(kept) for kept in ranks.values()} == {6}


@pytest.mark.slow
@pytest.mark.parametrize("method", PARTIAL_METHODS)
def test_the_exported_model_predicts_as_torch_does(project: Paths, params: Change, method: str) -> None:
    run_finetune(project, finetune_params(params, method=method, lr=2e-2))
    all_params = params({"export": {"candidates": []}, "abstain": {"method": "none"}})
    names = ("encoder", "evaluate", "swaps", "fairness", "mitigation", "abstain")
    shared: dict[str, Any] = {name: getattr(all_params, name) for name in names}
    metrics = export.run(all_params.export, **shared, paths=project)
    assert metrics["onnx_max_difference"] < 1e-4 and metrics["int8_accuracy_drop"] < 0.2
    bundle, model = project.data("export") / "bundle", project.data("finetune") / "model"
    classifier.verify(bundle)
    texts = table.read(unlabelled_file(project))["text"].tolist()
    served = classifier.load(bundle).logits(texts)
    assert np.abs(served - torch_logits(model, texts).numpy()).max() < 1e-4
    assert np.abs(served - torch_logits(bundle_as_model(bundle, project.root / "again"), texts).numpy()).max() < 1e-4


def bundle_as_model(bundle: Path, folder: Path) -> Path:
    """A model folder made of the safetensors in a bundle."""
    shutil.copytree(bundle, folder)
    about = json.loads((bundle / "classifier.json").read_text())
    kept = {key: about[key] for key in ("labels", "pooling", "max_length", "adapters") if key in about}
    write_json(kept, folder / "classifier.json")
    return folder
