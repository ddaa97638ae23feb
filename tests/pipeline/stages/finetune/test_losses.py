"""Adversarial and joint training of a tiny encoder."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths, write_json
from pipeline.models import network
from pipeline.stages.finetune import adversarial, student
from pipeline.stages.finetune import objective as objectives
from pipeline.training import supervised
from pipeline.training.mlm_masking import IGNORED
from tests.support.finetuning import (
    LABELS,
    Change,
    Rows,
    finetune_params,
    model_files,
    read_task,
    remove_validation_rows,
    run_finetune,
    write_inputs,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return write_inputs(tmp_path, tiny_encoder, rows, pairs)


def test_the_perturbation_has_the_radius_and_points_where_the_loss_rises(tiny_encoder: Path) -> None:
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    texts = ["hello refund today", "please help locked out of my account since yesterday", "courier"]
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))
    inputs = batch | {"targets": torch.eye(3), "weights": torch.tensor([1.0, 0.5, 2.0])}
    vectors: list[torch.Tensor] = []
    net.encoder.embeddings.LayerNorm.register_forward_pre_hook(lambda _, inputs: vectors.append(inputs[0].detach()))
    net.eval()
    plain = net(**inputs)["loss"].item()
    outputs = {radius: adversarial.adversarial_outputs(net, inputs, radius) for radius in (0.01, 0.1)}
    losses = {radius: output["loss"].item() - plain for radius, output in outputs.items()}
    perturbations = (vectors[2] - vectors[1], vectors[4] - vectors[3])
    assert perturbations[0].flatten(1).norm(dim=1).tolist() == pytest.approx([0.01] * 3, rel=1e-3)
    assert perturbations[1].flatten(1).norm(dim=1).tolist() == pytest.approx([0.1] * 3, rel=1e-3)
    assert perturbations[1][batch["attention_mask"] == 0].abs().max() == 0, "padding was changed"
    assert plain < losses[0.01] < losses[0.1]
    random = torch.randn_like(perturbations[1]) * batch["attention_mask"][:, :, None]
    random *= 0.1 / random.flatten(1).norm(dim=1)[:, None, None]
    with adversarial.change_word_vectors(net.encoder, lambda plain_vectors: plain_vectors + random):
        assert net(**inputs)["loss"].item() < losses[0.1]
    assert net(**inputs)["loss"].item() == plain, "a hook was left behind"


def test_adversarial_training_learns_other_weights_and_still_the_task(project: Paths, params: Change) -> None:
    metrics = run_finetune(project, finetune_params(params, adversarial=0.05))  # a word's vector is about 0.1 long here
    assert metrics["best_validation_accuracy"] > 0.9
    adversarial_files = model_files(project)
    run_finetune(project, finetune_params(params))
    assert adversarial_files.keys() == model_files(project).keys()
    assert adversarial_files["encoder/model.safetensors"] != model_files(project)["encoder/model.safetensors"]


def test_adversarial_training_reaches_a_head_over_a_frozen_encoder(project: Paths, params: Change) -> None:
    remove_validation_rows(project)
    changes: dict[str, Any] = {"method": "head", "start": "random", "head_lr": 0.5}
    clean = run_finetune(project, finetune_params(params, **changes))
    assert (
        run_finetune(project, finetune_params(params, adversarial=0.5, **changes))["last_loss"]
        > 1.5 * clean["last_loss"]
    )


def test_adversarial_training_refuses_compile(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.compile: expected false with adversarial above 0, found true"):
        finetune_params(params, adversarial=0.5, compile=True)


def joint_objective(project: Paths, params: Params) -> tuple[Any, dict[str, torch.Tensor]]:
    """The objective of a joint training, and one batch as the collator makes it."""
    task = read_task(project, params)
    net, tokenizer = student.build_network(task, params.finetune)
    extras = objectives.make_extras(net, tokenizer, params.finetune, None, None)
    encoded = tokenizer(task.train["text"].tolist(), truncation=True, max_length=32)
    assert extras.extra_inputs is not None
    rows = encoded["input_ids"]
    targets = supervised.target_probabilities(task.train, 3, None)
    collate = supervised.make_collator(rows, targets, task.train, tokenizer.pad_token_id, extras.extra_inputs(encoded))
    return extras.model, collate([(place, row) for place, row in enumerate(range(20, 36))])


def test_the_joint_loss_is_that_of_the_words_plus_lambda_times_the_classifiers(project: Paths, params: Change) -> None:
    from transformers import BertForMaskedLM

    settings = finetune_params(params, joint_weight=3.0, dropout=0.0)
    model, batch = joint_objective(project, settings)
    hidden = batch["hidden_targets"] != IGNORED
    assert hidden.any(dim=1).all(), "a text without a hidden word"
    assert 0.08 < hidden.sum() / batch["attention_mask"].sum() < 0.35
    assert (batch["hidden_targets"][hidden] == batch["input_ids"][hidden]).all()

    tied = BertForMaskedLM.from_pretrained(project.data("pretrain") / "encoder", attn_implementation="eager").eval()
    head = tied.cls.predictions
    with torch.no_grad():
        for ours, theirs in zip(
            model.mlm_head.transform, (head.transform.dense, None, head.transform.LayerNorm), strict=True
        ):
            if theirs is not None:
                theirs.load_state_dict(ours.state_dict())
        head.bias.copy_(model.mlm_head.bias)
        labels = batch["hidden_targets"]
        words = tied(input_ids=batch["hidden_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
        fine = model.net.eval()(**{name: batch[name] for name in ("input_ids", "attention_mask", "targets", "weights")})
        assert model.train()(**batch)["loss"].item() == pytest.approx((words + 3 * fine["loss"]).item(), rel=1e-4)
        assert model.eval()(**batch)["loss"] == fine["loss"], "an evaluation measures the classifier alone"


def test_joint_training_learns_both_and_leaves_the_words_head_behind(project: Paths, params: Change) -> None:
    remove_validation_rows(project)
    names = run_finetune(project, finetune_params(params)) and model_files(project).keys()
    history = pd.read_csv(project.data("finetune") / "history.csv")
    metrics = run_finetune(project, finetune_params(params, joint_weight=1.0, epochs=12))
    joint = pd.read_csv(project.data("finetune") / "history.csv")
    assert joint["loss"].iloc[0] > history["loss"].iloc[0] + 3, "no loss of about ln(vocabulary) was added"
    assert metrics["last_loss"] < joint["loss"].iloc[0] - 2
    assert model_files(project).keys() == names
    head = {"weight", "bias"}
    assert load_file(project.data("finetune") / "model" / "head.safetensors").keys() == head


def test_a_joint_training_needs_a_mask_token(project: Paths, params: Change) -> None:
    file = project.data("pretrain") / "encoder" / "tokenizer_config.json"
    config = json.loads(file.read_text())
    write_json({key: value for key, value in config.items() if key != "mask_token"} | {"mask_token": None}, file)
    with pytest.raises(UserError, match=r"finetune\.joint_weight: expected a tokenizer with a mask token"):
        run_finetune(project, finetune_params(params, joint_weight=1.0))


def test_a_frozen_encoder_takes_no_joint_weight(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.joint_weight: expected null with method teacher_head"):
        finetune_params(params, method="teacher_head", joint_weight=1.0)
