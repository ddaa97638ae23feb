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
    make,
    run,
    task,
    ways,
    weights,
    without_validation,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return make(tmp_path, tiny_encoder, rows, pairs)


def test_the_push_has_the_radius_and_points_where_the_loss_rises(tiny_encoder: Path) -> None:
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    texts = ["hello refund today", "please help locked out of my account since yesterday", "courier"]
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))
    inputs = batch | {"targets": torch.eye(3), "weights": torch.tensor([1.0, 0.5, 2.0])}
    seen: list[torch.Tensor] = []
    net.encoder.embeddings.LayerNorm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net.eval()
    plain = net(**inputs)["loss"].item()
    losses = {radius: adversarial.both(net, inputs, radius)["loss"].item() - plain for radius in (0.01, 0.1)}
    pushes = (seen[2] - seen[1], seen[4] - seen[3])
    assert pushes[0].flatten(1).norm(dim=1).tolist() == pytest.approx([0.01] * 3, rel=1e-3)
    assert pushes[1].flatten(1).norm(dim=1).tolist() == pytest.approx([0.1] * 3, rel=1e-3)
    assert pushes[1][batch["attention_mask"] == 0].abs().max() == 0, "padding was pushed"
    assert plain < losses[0.01] < losses[0.1]
    random = torch.randn_like(pushes[1]) * batch["attention_mask"][:, :, None]
    random *= 0.1 / random.flatten(1).norm(dim=1)[:, None, None]
    with adversarial.embedded(net.encoder, lambda vectors: vectors + random):
        assert net(**inputs)["loss"].item() < losses[0.1]
    assert net(**inputs)["loss"].item() == plain, "a hook was left behind"


def test_adversarial_training_learns_other_weights_and_still_the_task(project: Paths, params: Change) -> None:
    metrics = run(project, ways(params, adversarial=0.05))  # a word's vector is about 0.1 long here
    assert metrics["best_validation_accuracy"] > 0.9
    pushed = weights(project)
    run(project, ways(params))
    assert pushed.keys() == weights(project).keys()
    assert pushed["encoder/model.safetensors"] != weights(project)["encoder/model.safetensors"]


def test_adversarial_training_reaches_a_head_over_a_frozen_encoder(project: Paths, params: Change) -> None:
    without_validation(project)
    own: dict[str, Any] = {"method": "head", "start": "random", "head_lr": 0.5}
    clean = run(project, ways(params, **own))
    assert run(project, ways(params, adversarial=0.5, **own))["last_loss"] > 1.5 * clean["last_loss"]


def test_adversarial_training_refuses_compile(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.compile: expected false with adversarial above 0, found true"):
        ways(params, adversarial=0.5, compile=True)


def joined(project: Paths, params: Params) -> tuple[Any, dict[str, torch.Tensor]]:
    """The objective of a joint training, and one batch as the collator makes it."""
    given = task(project, params)
    net, tokenizer = student.build(given, params.finetune)
    extras = objectives.extras(net, tokenizer, params.finetune, None, None)
    encoded = tokenizer(given.train["text"].tolist(), truncation=True, max_length=32)
    assert extras.inputs is not None
    rows = encoded["input_ids"]
    wanted = supervised.targets(given.train, 3, None)
    collate = supervised.collator(rows, wanted, given.train, tokenizer.pad_token_id, extras.inputs(encoded))
    return extras.model, collate([(place, row) for place, row in enumerate(range(20, 36))])


def test_the_joint_loss_is_that_of_the_words_plus_lambda_times_the_classifiers(project: Paths, params: Change) -> None:
    from transformers import BertForMaskedLM

    settings = ways(params, joint_weight=3.0, dropout=0.0)
    model, batch = joined(project, settings)
    hidden = batch["hidden_targets"] != IGNORED
    assert hidden.any(dim=1).all(), "a text without a hidden word"
    assert 0.08 < hidden.sum() / batch["attention_mask"].sum() < 0.35
    assert (batch["hidden_targets"][hidden] == batch["input_ids"][hidden]).all()

    tied = BertForMaskedLM.from_pretrained(project.data("pretrain") / "encoder", attn_implementation="eager").eval()
    head = tied.cls.predictions
    with torch.no_grad():
        for ours, theirs in zip(
            model.masked.transform, (head.transform.dense, None, head.transform.LayerNorm), strict=True
        ):
            if theirs is not None:
                theirs.load_state_dict(ours.state_dict())
        head.bias.copy_(model.masked.bias)
        labels = batch["hidden_targets"]
        words = tied(input_ids=batch["hidden_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
        fine = model.net.eval()(**{name: batch[name] for name in ("input_ids", "attention_mask", "targets", "weights")})
        assert model.train()(**batch)["loss"].item() == pytest.approx((words + 3 * fine["loss"]).item(), rel=1e-4)
        assert model.eval()(**batch)["loss"] == fine["loss"], "an evaluation measures the classifier alone"


def test_joint_training_learns_both_and_leaves_the_words_head_behind(project: Paths, params: Change) -> None:
    without_validation(project)
    names = run(project, ways(params)) and weights(project).keys()
    history = pd.read_csv(project.data("finetune") / "history.csv")
    metrics = run(project, ways(params, joint_weight=1.0, epochs=12))
    joint = pd.read_csv(project.data("finetune") / "history.csv")
    assert joint["loss"].iloc[0] > history["loss"].iloc[0] + 3, "no loss of about ln(vocabulary) was added"
    assert metrics["last_loss"] < joint["loss"].iloc[0] - 2
    assert weights(project).keys() == names
    head = {"weight", "bias"}
    assert load_file(project.data("finetune") / "model" / "head.safetensors").keys() == head


def test_a_joint_training_needs_a_mask_token(project: Paths, params: Change) -> None:
    file = project.data("pretrain") / "encoder" / "tokenizer_config.json"
    config = json.loads(file.read_text())
    write_json({key: value for key, value in config.items() if key != "mask_token"} | {"mask_token": None}, file)
    with pytest.raises(UserError, match=r"finetune\.joint_weight: expected a tokenizer with a mask token"):
        run(project, ways(params, joint_weight=1.0))


def test_a_frozen_encoder_takes_no_joint_weight(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.joint_weight: expected null with method teacher_head"):
        ways(params, method="teacher_head", joint_weight=1.0)
