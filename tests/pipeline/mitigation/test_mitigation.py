"""Mitigation in the stages that apply it: weights of the teacher, weights and the penalty of fine-tuning."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Mitigation, Params
from pipeline.core.stage import Paths
from pipeline.mitigation.reweighing import weight_factors
from pipeline.stages import finetune
from pipeline.stages.finetune import group_loss_penalty, objective, student
from pipeline.stages.pseudo_label import run as pseudo_label
from tests.pipeline.stages import test_export as exporting
from tests.support.finetuning import QUICK, read_task, write_inputs
from tests.support.pseudo_stage import GROUPS
from tests.support.pseudo_stage import project as teacher_project

Change = Callable[..., Params]
Rows = Callable[..., pd.DataFrame]
Pairs = list[tuple[str, str]]


def test_weights_make_label_and_group_independent_also_after_pool_rows_joined() -> None:
    labels, groups = np.repeat([0, 0, 1, 1], [6, 2, 1, 3]), np.repeat([0, 1, 0, 1], [6, 2, 1, 3])[:, None]
    labels, groups = np.concatenate([labels, [1, 0, 0]]), np.concatenate([groups, [[0], [1], [-1]]])
    before = np.repeat([5.0, 1.0], [12, 3])
    weights = before * weight_factors(labels, groups, before)
    known = groups[:, 0] >= 0
    cells = np.zeros((2, 2))
    np.add.at(cells, (labels[known], groups[known, 0]), weights[known])
    cells /= cells.sum()
    assert cells == pytest.approx(np.outer(cells.sum(axis=1), cells.sum(axis=0)))
    assert weights[-1] == 1


@pytest.fixture
def teaching(tmp_path: Path, rows: Rows, pairs: Pairs, tiny_encoder: Path) -> Paths:
    """The inputs of pseudo_label; most rows of one label are of one region."""
    paths = teacher_project(tmp_path, rows, pairs, tiny_encoder, 24, 0)
    gold = table.read(paths.data("ingest") / "train.parquet")
    region = [GROUPS[0] if label == "refund" or i % 4 == 0 else GROUPS[1] for i, label in enumerate(gold["label"])]
    table.write(table.to_schema(gold.assign(**{"group.region": region})), paths.data("ingest") / "train.parquet")
    return paths


def mitigation_params(**changes: object) -> Mitigation:
    return exporting.OFF.model_copy(update=changes)


def test_reweighing_changes_the_teacher_and_a_missing_attribute_is_named(teaching: Paths, params: Change) -> None:
    settings = params({"pseudo_label": {"teacher": "none"}})
    heads = []
    for mitigation in (
        mitigation_params(),
        mitigation_params(reweighing=True),
        mitigation_params(reweighing=True, attributes=["region"]),
    ):
        pseudo_label(settings.pseudo_label, settings.encoder, mitigation, teaching)
        heads.append(load_file(teaching.data("pseudo_label") / "head.safetensors")["weight"])
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(heads[1], heads[2])
    with pytest.raises(UserError, match=r"mitigation\.attributes: expected group attributes .*\(region\), found age"):
        pseudo_label(
            settings.pseudo_label, settings.encoder, mitigation_params(reweighing=True, attributes=["age"]), teaching
        )


def test_swapped_pool_rows_join_the_pool(teaching: Paths, params: Change, rows: Rows) -> None:
    settings = params()
    before = pseudo_label(settings.pseudo_label, settings.encoder, mitigation_params(), teaching)["pool"]
    table.write(rows([("his parcel late", None)], "counterfactual"), teaching.data("swaps") / "unlabelled.parquet")
    assert pseudo_label(settings.pseudo_label, settings.encoder, mitigation_params(), teaching)["pool"] == before + 1


def test_logits_of_held_out_rows_are_written_by_row_and_give_the_reported_precision(
    teaching: Paths, params: Change
) -> None:
    settings = params()
    metrics = pseudo_label(settings.pseudo_label, settings.encoder, mitigation_params(), teaching)
    held_out = pd.read_parquet(teaching.data("pseudo_label") / "held_out.parquet")
    gold = table.read(teaching.data("ingest") / "train.parquet").set_index("id")
    assert sorted(held_out["id"]) == sorted(gold.index)
    assert held_out["label"].tolist() == gold.loc[held_out["id"], "label"].tolist()
    logits = held_out[["logit.account", "logit.delivery", "logit.refund"]]
    right = logits.rename(columns=lambda name: name.removeprefix("logit.")).idxmax(axis=1).eq(held_out["label"])
    assert right.mean() == pytest.approx(metrics["precision"], abs=1e-6)


def test_the_penalty_is_the_squared_distance_of_group_losses_within_a_label() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 3.0]], requires_grad=True)
    targets = torch.eye(2)[[0, 0, 1, 1]]
    groups, weights = torch.tensor([[0], [1], [0], [-1]]), torch.ones(4)
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    mean = losses[:2].mean()
    penalty = group_loss_penalty.group_loss_distance(logits, targets, weights, groups)
    assert penalty.item() == pytest.approx((((losses[0] - mean) ** 2 + (losses[1] - mean) ** 2) / 2).item())
    penalty.backward()
    assert logits.grad is not None and logits.grad[1].abs().sum() > 0 and not logits.grad[2:].any()
    assert group_loss_penalty.group_loss_distance(logits, targets, weights, torch.full((4, 1), -1)).item() == 0


def test_the_loss_has_the_penalty_in_training_and_not_in_an_evaluation(
    tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: Pairs, params: Change
) -> None:
    from pipeline.stages.finetune.penalty import Penalty
    from pipeline.training import supervised

    settings = params({"finetune": QUICK | {"dropout": 0.0}}).finetune
    finetune_task = read_task(write_inputs(tmp_path, tiny_encoder, rows, pairs), params())
    net, tokenizer = student.build_network(finetune_task, settings)
    groups = np.arange(len(finetune_task.train))[:, None] % 2
    extras = objective.make_extras(net, tokenizer, settings, None, Penalty(2.0, groups))
    encoded = tokenizer(finetune_task.train["text"].tolist(), truncation=True, max_length=32)
    assert extras.extra_inputs is not None
    targets = supervised.target_probabilities(finetune_task.train, 3, None)
    pad = tokenizer.pad_token_id
    collate = supervised.make_collator(
        encoded["input_ids"], targets, finetune_task.train, pad, extras.extra_inputs(encoded)
    )
    batch = collate([(position, row) for position, row in enumerate(range(16))])
    assert batch["groups"].flatten().tolist() == [0, 1] * 8
    trained, evaluated = extras.model.train()(**batch), extras.model.eval()(**batch)
    added = group_loss_penalty.group_loss_distance(
        evaluated["logits"], batch["targets"], batch["weights"], batch["groups"]
    )
    assert added > 0
    assert (trained["loss"] - evaluated["loss"]).item() == pytest.approx(2 * added.item(), rel=1e-3)


def test_fine_tuning_reweighs_rows_and_refuses_a_penalty_where_it_takes_no_step(
    tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: Pairs, params: Change
) -> None:
    paths = write_inputs(tmp_path, tiny_encoder, rows, pairs)
    gold = table.read(paths.data("ingest") / "train.parquet")
    kinds = ["a" if label == "refund" or i % 5 == 0 else "b" for i, label in enumerate(gold["label"])]
    table.write(table.to_schema(gold.assign(**{"group.kind": kinds})), paths.data("ingest") / "train.parquet")
    settings = params({"finetune": QUICK | {"max_steps": 3}})
    losses = [
        finetune.run(settings.finetune, settings.encoder, mitigation, paths)["last_loss"]
        for mitigation in (mitigation_params(), mitigation_params(reweighing=True), mitigation_params(penalty=5.0))
    ]
    assert len(set(losses)) == 3
    teacher_head = params({"finetune": {"method": "teacher_head"}})
    with pytest.raises(UserError, match=r"mitigation\.penalty: expected 0 with finetune\.method teacher_head"):
        finetune.run(teacher_head.finetune, teacher_head.encoder, mitigation_params(penalty=5.0), paths)
    assert (
        finetune.run(teacher_head.finetune, teacher_head.encoder, mitigation_params(reweighing=True), paths)["steps"]
        == 0
    )
