"""Packed texts: what shares a row, and that a model learns from them what it learns from rows of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.stages.pretrain import objectives, packing
from pipeline.stages.pretrain.run import count_trainers, fit, prepare_data, prepare_model
from pipeline.training.batches import batch_count

Change = Callable[..., Params]
CAPACITY = 32
LENGTHS = np.random.default_rng(0).integers(3, 20, 300).tolist()


def settings(params: Change, **changes: Any) -> Params:
    """Params of masked words on packed rows without dropout, so that two forward passes are the same."""
    values = {"objective": "mlm", "packing": True, "batch_size": 4, "dropout": 0.0, "epochs": 1, "lr": 5e-3}
    return params({"pretrain": values | changes, "encoder": {"max_length": CAPACITY}})


def batch_of(params: Params, tokenizer: Any, texts: list[str], packed: bool) -> dict[str, Any]:
    """The model's inputs for texts, in one batch."""
    rows, words = objectives.tokenise(texts, tokenizer, CAPACITY)
    pretrain = params.pretrain.model_copy(update={"packing": packed})
    collate = objectives.make_collator(rows, words, tokenizer, pretrain, CAPACITY)
    return collate([(place, place) for place in range(len(texts))])


def test_packs_hold_each_row_once_and_hardly_any_padding() -> None:
    packs = packing.pack(list(range(300)), LENGTHS, CAPACITY)
    assert sorted(row for packed in packs for row in packed) == list(range(300))
    sizes = [sum(LENGTHS[row] for row in packed) for packed in packs]
    assert max(sizes) <= CAPACITY and sum(sizes) / (CAPACITY * len(packs)) > 0.97


def test_an_epoch_trains_on_each_row_once_and_no_batch_has_more_packs_than_its_size(params: Change) -> None:
    pretrain = settings(params).pretrain
    batches = packing.schedule_packed_batches(list(range(300)), LENGTHS, pretrain, CAPACITY)
    assert sorted(row for batch in batches for _, row in batch) == list(range(300))
    assert [place for batch in batches for place, _ in batch] == list(range(300))
    for batch in batches:
        ids = [[1] * LENGTHS[row] for _, row in batch]
        assert len(packing.packed_inputs(ids, ids, 0, -100, CAPACITY, None)["input_ids"]) <= 4
    assert batches == packing.schedule_packed_batches(list(range(300)), LENGTHS, pretrain, CAPACITY)
    assert len(batches) < batch_count(300, pretrain) / 2  # 300 rows of 11 tokens in rows of 32


@pytest.mark.parametrize(("changes", "share"), [({"epochs": 0.5}, 0.5), ({"epochs": 2}, 2), ({"max_steps": 3}, None)])
def test_epochs_and_steps_bound_the_batches(params: Change, changes: dict[str, Any], share: float | None) -> None:
    rows = list(range(300))
    whole = len(packing.schedule_packed_batches(rows, LENGTHS, settings(params).pretrain, CAPACITY))
    found = len(packing.schedule_packed_batches(rows, LENGTHS, settings(params, **changes).pretrain, CAPACITY))
    assert found == (3 if share is None else round(share * whole))


def test_loss_and_gradients_are_those_of_texts_in_rows_of_their_own(
    params: Change, pairs: list[tuple[str, str]]
) -> None:
    changed, texts = settings(params), [text for text, _ in pairs[:11]]
    model, tokenizer = prepare_model(texts, Path(changed.encoder.name), changed.pretrain, changed.encoder)
    losses, gradients = [], []
    for packed in (False, True):
        model.zero_grad()
        with packing.attention_within_texts(model):
            loss = model(**batch_of(changed, tokenizer, texts, packed)).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)
    assert gradients[0].abs().max() > 1e-3


def test_no_text_sees_another_one_of_its_row(params: Change, pairs: list[tuple[str, str]]) -> None:
    changed = settings(params)
    texts = [text for text, _ in pairs[:3]]
    model, tokenizer = prepare_model(texts, Path(changed.encoder.name), changed.pretrain, changed.encoder)
    inputs = batch_of(changed, tokenizer, texts, packed=True)
    own = inputs["texts"][0] == 0
    assert set(inputs["texts"][0].tolist()) >= {0, 1}
    ids = inputs["input_ids"].clone()
    ids[0, ~own] = (ids[0, ~own] + 7) % len(tokenizer)  # the other texts of the row, and its padding
    model.eval()
    with torch.inference_mode(), packing.attention_within_texts(model):
        before, after = (model(**inputs | {"input_ids": each}).logits[0] for each in (inputs["input_ids"], ids))
    assert torch.equal(before[own], after[own])
    assert not torch.allclose(before[~own], after[~own])


def test_a_batch_that_is_compiled_has_one_shape_and_its_empty_rows_do_no_harm(
    params: Change, pairs: list[tuple[str, str]]
) -> None:
    changed, texts = settings(params), [text for text, _ in pairs[:3]]
    model, tokenizer = prepare_model(texts, Path(changed.encoder.name), changed.pretrain, changed.encoder)
    losses = []
    for compiled in (False, True):
        pretrain = changed.pretrain.model_copy(update={"compile": compiled})
        inputs = batch_of(changed.model_copy(update={"pretrain": pretrain}), tokenizer, texts, packed=True)
        assert (len(inputs["input_ids"]) == 4) == compiled
        with packing.attention_within_texts(model):
            losses.append(model(**inputs).loss.item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)


def test_a_packed_training_lowers_the_loss_in_fewer_steps(
    params: Change, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    changed, texts = settings(params, epochs=6), [text for text, _ in pairs]
    model, tokenizer = prepare_model(texts, Path(changed.encoder.name), changed.pretrain, changed.encoder)
    folder = tmp_path / "pretrain" / "checkpoints"
    metrics = fit(model, tokenizer, texts, changed.pretrain, changed.encoder, folder, changed.compute)
    assert metrics["held_out_loss_after"] < metrics["held_out_loss_before"]
    plain = changed.pretrain.model_copy(update={"packing": False})
    data, _ = prepare_data(tokenizer, texts, plain, changed.encoder)
    assert metrics["steps"] < len(data.train) / 2
    assert not model._forward_pre_hooks  # what is saved is the model alone


def test_other_architectures_and_objectives_are_refused(params: Change) -> None:
    from transformers import RobertaConfig

    with pytest.raises(UserError, match="pretrain.packing: expected an encoder of the type bert, found roberta"):
        packing.require_packable(RobertaConfig(), "pretrain")
    with pytest.raises(UserError, match="packing: expected false with the objective"):
        params({"pretrain": {"objective": "simcse", "packing": True}})


def test_packed_batches_are_not_shared_by_workers(params: Change) -> None:
    """The attention within texts is set up in this process only."""
    changed = settings(params, gradient_accumulation=2)
    compute = changed.compute.model_copy(update={"engine": "ray", "pretrain_workers": 2})
    with pytest.raises(UserError, match="expected 1 where pretrain.packing is true, found 2"):
        count_trainers(changed.pretrain, compute)
