"""What every training shares: batches, checkpoints, curves."""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.training import trainer

Change = Callable[..., Params]


class Line(torch.nn.Module):
    """The smallest model with noise: learns the mean of its inputs under dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor, return_loss: bool = True) -> dict[str, torch.Tensor]:
        return {"loss": (torch.nn.functional.dropout(x, 0.5, self.training) - self.weight).square().mean()}


def collate(batch: trainer.Batch) -> dict[str, torch.Tensor]:
    return {"x": torch.tensor([[float(row)] * 4 for _, row in batch])}


def build(params: Params, folder: Path, model: torch.nn.Module) -> Any:
    data = trainer.Data(trainer.schedule(list(range(20)), [1] * 20, params.pretrain), [], collate)
    return trainer.build(model, data, params.pretrain, folder)


def tiny(params: Change, **changes: Any) -> Params:
    settings = {"epochs": 3, "batch_size": 2, "lr": 0.1, "checkpoint_steps": 7, "warmup": 0.0}
    return params({"pretrain": settings | changes})


def flat(batches: list[trainer.Batch]) -> list[int]:
    return [row for batch in batches for _, row in batch]


def test_an_epoch_holds_each_row_once_and_a_fraction_of_one_only_a_part(params: Change) -> None:
    rows, lengths = list(range(5, 50)), [i % 9 for i in range(50)]
    assert sorted(flat(trainer.schedule(rows, lengths, tiny(params, epochs=1).pretrain))) == rows
    half = trainer.schedule(rows, lengths, tiny(params, epochs=0.5).pretrain)
    assert len(half) == 12 and len(set(flat(half))) == len(flat(half))
    assert sorted(flat(trainer.schedule(rows, lengths, tiny(params, epochs=2).pretrain))) == sorted(rows * 2)


def test_no_row_meets_itself_in_a_batch(params: Change) -> None:
    batches = trainer.schedule(list(range(11)), [3] * 11, tiny(params, epochs=30, batch_size=4).pretrain)
    assert all(len({row for _, row in batch}) == len(batch) for batch in batches)


def test_rows_of_like_length_share_a_batch(params: Change) -> None:
    lengths = [i % 40 for i in range(400)]
    batches = trainer.schedule(list(range(400)), lengths, tiny(params, epochs=1, batch_size=8).pretrain)
    padded = sum(max(lengths[row] for _, row in batch) * len(batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


def test_max_steps_counts_steps_of_accumulated_batches(params: Change) -> None:
    few = tiny(params, max_steps=3, gradient_accumulation=2).pretrain
    assert len(trainer.schedule(list(range(40)), [1] * 40, few)) == 6


def test_the_fingerprint_changes_with_a_parameter_and_with_an_inputs_content(params: Change, tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(b"1")
    first = trainer.fingerprint([tiny(params).pretrain], [file])
    assert trainer.fingerprint([tiny(params).pretrain], [file]) == first
    assert trainer.fingerprint([tiny(params, lr=0.2).pretrain], [file]) != first
    file.write_bytes(b"2")
    assert trainer.fingerprint([tiny(params).pretrain], [file]) != first


def test_the_fingerprint_changes_with_the_code_of_a_training(
    params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in trainer.CODE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(trainer.PIPELINE / name, tmp_path / name)
    first = trainer.fingerprint([tiny(params).pretrain], [])
    monkeypatch.setattr(trainer, "PIPELINE", tmp_path)
    assert trainer.fingerprint([tiny(params).pretrain], []) == first
    for name in trainer.CODE:
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "\n")
        assert trainer.fingerprint([tiny(params).pretrain], []) != first, name
        (tmp_path / name).write_text(before)


def test_checkpoints_of_another_config_are_removed(tmp_path: Path) -> None:
    stale = trainer.checkpoints(Paths(tmp_path), "finetune", "a" * 16)
    kept = trainer.checkpoints(Paths(tmp_path), "finetune", "b" * 16)
    assert kept.is_dir() and not stale.exists()


def test_curves_hold_what_was_logged_and_start_empty_each_time(params: Change, tmp_path: Path) -> None:
    curves = tmp_path / "pretrain" / "curves.jsonl"
    curves.parent.mkdir()
    curves.write_text('{"step": 999}\n')
    points = trainer.train(build(tiny(params), tmp_path / "pretrain" / "key", Line()))
    assert [json.loads(line) for line in curves.read_text().splitlines()] == points
    assert [point["step"] for point in points] == list(range(1, 31))
    assert points[0]["loss"] > points[-1]["loss"]


@pytest.mark.parametrize("damage", ["cut", "unsealed", "flipped"])
def test_a_broken_last_checkpoint_is_skipped_for_the_one_before(
    params: Change, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pretrain" / "key"
    unbroken = Line()
    expected = trainer.train(build(tiny(params), folder, unbroken))
    last = folder / "checkpoint-30"
    weights = last / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-4])
    elif damage == "flipped":
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    else:
        (last / "complete.json").unlink()
    resumed = Line()
    points = trainer.train(build(tiny(params), folder, resumed))
    assert "checkpoint-30 was not written to its end" in capsys.readouterr().err
    assert torch.equal(resumed.weight, unbroken.weight)
    assert points == expected
    assert len((tmp_path / "pretrain" / "curves.jsonl").read_text().splitlines()) == len(expected)


class Worse(Line):
    """Its validation loss rises with each step, so that the first evaluation is the best."""

    def forward(self, x: torch.Tensor, targets: torch.Tensor | None = None) -> dict[str, torch.Tensor]:  # type: ignore[override]
        loss = super().forward(x)["loss"]
        return {"loss": loss if self.training else -loss, "logits": x}


def test_a_training_that_had_stopped_early_when_killed_takes_no_further_step(params: Change, tmp_path: Path) -> None:
    def fit(model: torch.nn.Module) -> list[dict[str, float]]:
        settings = tiny(params, epochs=9).pretrain
        batches = trainer.schedule(list(range(20)), [1] * 20, settings)
        held = trainer.held_out(list(range(20)), [1] * 20)
        data = trainer.Data(batches, held, lambda batch: collate(batch) | {"targets": torch.ones(len(batch))})
        folder = tmp_path / "pretrain" / "key"
        return trainer.train(trainer.build(model, data, settings, folder, evaluate_steps=5, patience=2), patience=2)

    stopped, resumed = Worse(), Worse()
    points = fit(stopped)
    assert points[-1]["step"] == 15
    assert fit(resumed) == points
    assert torch.equal(stopped.weight, resumed.weight)


def test_accumulated_batches_give_their_mean_loss(params: Change, tmp_path: Path) -> None:
    def first_loss(**changes: Any) -> float:
        settings = tiny(params, epochs=1, lr=1e-9, **changes)
        return trainer.train(build(settings, tmp_path / f"{len(changes)}" / "key", Line().eval()))[-1]["loss"]

    assert first_loss(gradient_accumulation=10, checkpoint_steps=1) < 500  # the sum would be ten times as much


def test_a_loss_that_is_no_number_ends_the_training_with_what_to_change(params: Change, tmp_path: Path) -> None:
    model = Line()
    with torch.no_grad():
        model.weight[0] = float("nan")
    with pytest.raises(UserError, match=r"pretrain\.lr: expected a finite loss, found none at step 1"):
        trainer.train(build(tiny(params), tmp_path / "pretrain" / "key", model))


def test_curves_go_to_tensorboard_by_one_param(params: Change, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = trainer.train(build(tiny(params, trackers=["tensorboard"]), tmp_path / "pretrain" / "key", Line()))
    events = EventAccumulator(str(tmp_path / "pretrain" / "tensorboard")).Reload()
    found = {event.step: event.value for event in events.Scalars("train/loss")}
    assert found == pytest.approx({point["step"]: point["loss"] for point in points})


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_a_tracker_that_is_not_installed_is_named(params: Change, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pretrain\.trackers: expected wandb to be installed"):
        build(tiny(params, trackers=["wandb"]), tmp_path / "pretrain" / "key", Line())


def test_bfloat16_trains_on_this_machine(params: Change, tmp_path: Path) -> None:
    points = trainer.train(build(tiny(params, precision="bfloat16"), tmp_path / "pretrain" / "key", Line()))
    assert points[0]["loss"] > points[-1]["loss"]


@pytest.mark.slow
def test_a_compiled_training_resumes_from_plain_weights(params: Change, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder, unbroken, resumed = tmp_path / "pretrain" / "key", Line(), Line()
    points = trainer.train(build(tiny(params, compile=True), folder, unbroken))
    assert set(load_file(folder / "checkpoint-28" / "model.safetensors")) == {"weight"}
    shutil.rmtree(folder / "checkpoint-30")
    assert trainer.train(build(tiny(params, compile=True), folder, resumed)) == points
    assert torch.equal(resumed.weight, unbroken.weight)
