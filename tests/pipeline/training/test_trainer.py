"""The Trainer of every training: its curves, its loss, trackers and precision."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.training import trainer
from tests.support.tiny_training import Change, Line, build, tiny_params


def test_curves_hold_what_was_logged_and_start_empty_each_time(params: Change, tmp_path: Path) -> None:
    curves = tmp_path / "pretrain" / "curves.jsonl"
    curves.parent.mkdir()
    curves.write_text('{"step": 999}\n')
    points = trainer.train(build(tiny_params(params), tmp_path / "pretrain" / "key", Line()))
    assert [json.loads(line) for line in curves.read_text().splitlines()] == points
    assert [point["step"] for point in points] == list(range(1, 31))
    assert points[0]["loss"] > points[-1]["loss"]


def test_accumulated_batches_give_their_mean_loss(params: Change, tmp_path: Path) -> None:
    def first_loss(**changes: Any) -> float:
        settings = tiny_params(params, epochs=1, lr=1e-9, **changes)
        return trainer.train(build(settings, tmp_path / f"{len(changes)}" / "key", Line().eval()))[-1]["loss"]

    assert first_loss(gradient_accumulation=10, checkpoint_steps=1) < 500  # the sum would be ten times as much


def test_a_loss_that_is_no_number_ends_the_training_with_what_to_change(params: Change, tmp_path: Path) -> None:
    model = Line()
    with torch.no_grad():
        model.weight[0] = float("nan")
    with pytest.raises(UserError, match=r"pretrain\.lr: expected a finite loss, found none at step 1"):
        trainer.train(build(tiny_params(params), tmp_path / "pretrain" / "key", model))


def test_curves_go_to_tensorboard_by_one_param(params: Change, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = trainer.train(build(tiny_params(params, trackers=["tensorboard"]), tmp_path / "pretrain" / "key", Line()))
    events = EventAccumulator(str(tmp_path / "pretrain" / "tensorboard")).Reload()
    logged = {event.step: event.value for event in events.Scalars("train/loss")}
    assert logged == pytest.approx({point["step"]: point["loss"] for point in points})


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_a_tracker_that_is_not_installed_is_named(params: Change, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pretrain\.trackers: expected wandb to be installed"):
        build(tiny_params(params, trackers=["wandb"]), tmp_path / "pretrain" / "key", Line())


def test_bfloat16_trains_on_this_machine(params: Change, tmp_path: Path) -> None:
    points = trainer.train(build(tiny_params(params, precision="bfloat16"), tmp_path / "pretrain" / "key", Line()))
    assert points[0]["loss"] > points[-1]["loss"]
