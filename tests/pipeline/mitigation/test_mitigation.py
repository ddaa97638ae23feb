"""Mitigation where it acts: weights of the teacher and of fine-tuning, offsets in the served bundle, the penalty."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Export, Mitigation, Offsets, Params
from pipeline.core.stage import Paths, write_json
from pipeline.mitigation import offset_selection
from pipeline.models import classifier
from pipeline.stages import export, finetune
from pipeline.stages.finetune import group_loss_penalty, objective, student
from pipeline.stages.pseudo_label import run as pseudo_label
from pipeline.stages.pseudo_label.teacher import Texts
from tests.pipeline.stages import test_export as exporting
from tests.pipeline.stages.pseudo_label.test_stage import GROUPS
from tests.pipeline.stages.pseudo_label.test_stage import project as inputs
from tests.support.finetuning import QUICK, make, task
from tests.support.pseudo_texts import seed_rows

Change = Callable[..., Params]
Rows = Callable[..., pd.DataFrame]
Pairs = list[tuple[str, str]]


def test_weights_of_seeds_make_label_and_group_independent_also_after_pool_rows_joined() -> None:
    labels, groups = np.repeat([0, 0, 1, 1], [6, 2, 1, 3]), np.repeat([0, 1, 0, 1], [6, 2, 1, 3])[:, None]
    seeds = seed_rows(Texts(np.zeros((12, 2)), groups=groups), labels)
    joined = seeds.join(Texts(np.zeros((3, 2)), groups=np.array([[0], [1], [-1]])), np.array([1, 0, 0]))
    weights = joined.balanced()
    known = joined.texts.groups[:, 0] >= 0  # type: ignore[index]
    cells = np.zeros((2, 2))
    np.add.at(cells, (joined.labels[known], joined.texts.groups[known, 0]), weights[known])  # type: ignore[index]
    cells /= cells.sum()
    assert cells == pytest.approx(np.outer(cells.sum(axis=1), cells.sum(axis=0)))
    assert weights[-1] == 1
    assert seed_rows(Texts(np.zeros((12, 2))), labels).balanced().tolist() == [5.0] * 12


@pytest.fixture
def teaching(tmp_path: Path, rows: Rows, pairs: Pairs, tiny_encoder: Path) -> Paths:
    """The inputs of pseudo_label; most rows of one label are of one region."""
    paths = inputs(tmp_path, rows, pairs, tiny_encoder, 24, 0)
    gold = table.read(paths.data("ingest") / "train.parquet")
    region = [GROUPS[0] if label == "refund" or i % 4 == 0 else GROUPS[1] for i, label in enumerate(gold["label"])]
    table.write(table.cast(gold.assign(**{"group.region": region})), paths.data("ingest") / "train.parquet")
    return paths


def mitigate(**changes: object) -> Mitigation:
    return exporting.OFF.model_copy(update=changes)


def test_reweighing_changes_the_teacher_and_says_what_attribute_is_missing(teaching: Paths, params: Change) -> None:
    own = params({"pseudo_label": {"teacher": "none"}})
    heads = []
    for mitigation in (mitigate(), mitigate(reweighing=True), mitigate(reweighing=True, attributes=["region"])):
        pseudo_label(own.pseudo_label, own.encoder, mitigation, teaching)
        heads.append(load_file(teaching.data("pseudo_label") / "head.safetensors")["weight"])
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(heads[1], heads[2])
    with pytest.raises(UserError, match=r"mitigation\.attributes: expected group attributes .*\(region\), found age"):
        pseudo_label(own.pseudo_label, own.encoder, mitigate(reweighing=True, attributes=["age"]), teaching)


def test_swapped_pool_rows_join_the_pool(teaching: Paths, params: Change, rows: Rows) -> None:
    own = params()
    before = pseudo_label(own.pseudo_label, own.encoder, mitigate(), teaching)["pool"]
    table.write(rows([("his parcel late", None)], "counterfactual"), teaching.data("swaps") / "unlabelled.parquet")
    assert pseudo_label(own.pseudo_label, own.encoder, mitigate(), teaching)["pool"] == before + 1


def test_logits_of_held_out_rows_are_written_by_row_and_are_those_that_were_judged(
    teaching: Paths, params: Change
) -> None:
    own = params()
    metrics = pseudo_label(own.pseudo_label, own.encoder, mitigate(), teaching)
    held = pd.read_parquet(teaching.data("pseudo_label") / "held_out.parquet")
    gold = table.read(teaching.data("ingest") / "train.parquet").set_index("id")
    assert sorted(held["id"]) == sorted(gold.index)
    assert held["label"].tolist() == gold.loc[held["id"], "label"].tolist()
    logits = held[["logit.account", "logit.delivery", "logit.refund"]]
    right = logits.rename(columns=lambda name: name.removeprefix("logit.")).idxmax(axis=1).eq(held["label"])
    assert right.mean() == pytest.approx(metrics["precision"], abs=1e-6)


MOVED = Mitigation(attributes=[], reweighing=False, penalty=0.0, offsets=Offsets(budget=0.05))
SERVED = Export(int8=False, serve="float32", tolerance=1e-4)


def grouped(paths: Paths, name: str) -> None:
    """Give the rows of a table two groups: those that the model gets right are mostly of one."""
    rows = table.read(paths.data("ingest") / f"{name}.parquet")
    kinds = ["near" if i % 2 else "far" for i in range(len(rows))]
    table.write(table.cast(rows.assign(**{"group.place": kinds})), paths.data("ingest") / f"{name}.parquet")


@pytest.mark.slow
def test_offsets_are_in_whatever_serves_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.mitigation import offsets as chooser
    from pipeline.models import network

    paths = exporting.project(tmp_path, validation=80)
    grouped(paths, "validation")
    values = np.array([0.5, -1.0, *[0.0] * (len(exporting.LABELS) - 2)])
    asked: list[tuple[int, ...]] = []

    def choose(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, *_: object) -> chooser.Offsets:
        asked.append((*logits.shape, len(truth), *groups.shape))
        return chooser.Offsets(values, "chosen", (0.8, 0.2), (0.79, 0.1), -0.05)

    monkeypatch.setattr(offset_selection, "choose", choose)
    metrics = export.run(SERVED, exporting.FAIRNESS, MOVED, paths)
    classes = len(exporting.LABELS)
    assert asked == [(80, classes, 80, 80, 1)]
    assert metrics["offsets"]["values"] == values.tolist() and metrics["offsets"]["gap_after"] == 0.1
    texts = exporting.rows(20, seed=7)["text"].tolist()
    net, tokenizer, _ = network.load(paths.data("finetune") / "model")
    plain = network.logits(net, tokenizer, texts, 32)
    bundle = exporting.bundle(paths)
    assert classifier.load(bundle).logits(texts) == pytest.approx(plain + values, abs=1e-4)
    before, after = (load_file(folder / "head.safetensors") for folder in (paths.data("finetune") / "model", bundle))
    assert (after["bias"] - before["bias"]).tolist() == pytest.approx(values.tolist(), abs=1e-6)


def held_out_project(root: Path, shift: float) -> Paths:
    """Without validation rows: 80 gold rows as a teacher saw them, which calls one label too often, in one group."""
    paths = exporting.project(root, validation=0)
    gold = exporting.rows(80)
    table.write(gold, paths.data("ingest") / "train.parquet")
    rng = np.random.default_rng(0)
    labels = exporting.LABELS
    last = gold["label"].eq(labels[-1])
    near = np.where(last, rng.random(80) < 0.9, rng.random(80) < 0.3)
    gold = gold.assign(**{"group.place": np.where(near, "near", "far")})
    table.write(table.cast(gold), paths.data("ingest") / "train.parquet")
    truth = gold["label"].map(labels.index).to_numpy()
    logits = 2 * np.eye(len(labels))[truth] + rng.normal(size=(80, len(labels))) * 0.3
    logits[:, -1] -= shift
    held = pd.DataFrame(logits, columns=[f"logit.{label}" for label in labels])
    held.insert(0, "id", gold["id"])
    held.assign(label=gold["label"]).to_parquet(paths.data("pseudo_label") / "held_out.parquet")
    head = paths.data("pseudo_label") / "head.safetensors"
    head.write_bytes((paths.data("finetune") / "model" / "head.safetensors").read_bytes())
    write_json({"ships_teacher": True}, paths.data("pseudo_label") / "metrics.json")
    return paths


def look(paths: Paths) -> Any:
    tables = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in ("train", "validation")}
    fair = exporting.FAIRNESS.model_copy(update={"min_group_size": 20})
    return offset_selection.look(paths.data("finetune") / "model", tables, fair, MOVED, paths)


def test_without_validation_rows_held_out_gold_rows_choose(tmp_path: Path) -> None:
    moved = look(held_out_project(tmp_path, 2.2))
    assert moved is not None and moved.reason == "chosen", moved
    assert moved.before and moved.after and moved.after[1] < moved.before[1] / 2
    assert moved.values.argmax() == len(exporting.LABELS) - 1


@pytest.mark.parametrize("other", ["trained further", "over other vectors"])
def test_held_out_rows_say_nothing_of_a_model_that_is_not_the_teacher(tmp_path: Path, other: str) -> None:
    paths = held_out_project(tmp_path, 2.2)
    file = paths.data("finetune") / "model" / "head.safetensors"
    if other == "trained further":
        save_file({name: value + 0.1 for name, value in load_file(file).items()}, file)
    else:
        write_json({"ships_teacher": False}, paths.data("pseudo_label") / "metrics.json")
    moved = look(paths)
    assert moved is not None and not moved.values.any()
    assert moved.reason == "none kept: only a validation split tells how this model answers"


def test_no_budget_moves_nothing(tmp_path: Path) -> None:
    assert offset_selection.look(tmp_path, {}, exporting.FAIRNESS, exporting.OFF, Paths(tmp_path)) is None
    assert offset_selection.tell(None) == {"reason": "off: mitigation.offsets.budget is null"}


def test_the_penalty_is_the_squared_distance_of_group_losses_within_a_label() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 3.0]], requires_grad=True)
    targets = torch.eye(2)[[0, 0, 1, 1]]
    groups, weights = torch.tensor([[0], [1], [0], [-1]]), torch.ones(4)
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    mean = each[:2].mean()
    found = group_loss_penalty.losses(logits, targets, weights, groups)
    assert found.item() == pytest.approx((((each[0] - mean) ** 2 + (each[1] - mean) ** 2) / 2).item())
    found.backward()
    assert logits.grad is not None and logits.grad[1].abs().sum() > 0 and not logits.grad[2:].any()
    assert group_loss_penalty.losses(logits, targets, weights, torch.full((4, 1), -1)).item() == 0


def test_training_adds_the_penalty_and_an_evaluation_does_not(
    tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: Pairs, params: Change
) -> None:
    from pipeline.stages.finetune.penalty import Penalty
    from pipeline.training import supervised

    own = params({"finetune": QUICK | {"dropout": 0.0}}).finetune
    given = task(make(tmp_path, tiny_encoder, rows, pairs), params())
    net, tokenizer = student.build(given, own)
    groups = np.arange(len(given.train))[:, None] % 2
    extras = objective.extras(net, tokenizer, own, None, Penalty(2.0, groups))
    encoded = tokenizer(given.train["text"].tolist(), truncation=True, max_length=32)
    assert extras.inputs is not None
    wanted = supervised.targets(given.train, 3, None)
    pad = tokenizer.pad_token_id
    collate = supervised.collator(encoded["input_ids"], wanted, given.train, pad, extras.inputs(encoded))
    batch = collate([(place, row) for place, row in enumerate(range(16))])
    assert batch["groups"].flatten().tolist() == [0, 1] * 8
    trained, evaluated = extras.model.train()(**batch), extras.model.eval()(**batch)
    added = group_loss_penalty.losses(evaluated["logits"], batch["targets"], batch["weights"], batch["groups"])
    assert added > 0
    assert (trained["loss"] - evaluated["loss"]).item() == pytest.approx(2 * added.item(), rel=1e-3)


def test_fine_tuning_weighs_rows_and_refuses_a_penalty_where_it_takes_no_step(
    tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: Pairs, params: Change
) -> None:
    paths = make(tmp_path, tiny_encoder, rows, pairs)
    gold = table.read(paths.data("ingest") / "train.parquet")
    kinds = ["a" if label == "refund" or i % 5 == 0 else "b" for i, label in enumerate(gold["label"])]
    table.write(table.cast(gold.assign(**{"group.kind": kinds})), paths.data("ingest") / "train.parquet")
    own = params({"finetune": QUICK | {"max_steps": 3}})
    losses = [
        finetune.run(own.finetune, own.encoder, mitigation, paths)["last_loss"]
        for mitigation in (mitigate(), mitigate(reweighing=True), mitigate(penalty=5.0))
    ]
    assert len(set(losses)) == 3
    still = params({"finetune": {"method": "teacher_head"}})
    with pytest.raises(UserError, match=r"mitigation\.penalty: expected 0 with finetune\.method teacher_head"):
        finetune.run(still.finetune, still.encoder, mitigate(penalty=5.0), paths)
    assert finetune.run(still.finetune, still.encoder, mitigate(reweighing=True), paths)["steps"] == 0
