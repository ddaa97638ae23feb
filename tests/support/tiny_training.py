"""A training that takes no time: the smallest model with noise, and params for a few steps of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.core.params import Params
from pipeline.training import trainer
from pipeline.training.batches import Batch, TrainingData, schedule_batches

Change = Callable[..., Params]


class Line(torch.nn.Module):
    """The smallest model with noise: learns the mean of its inputs under dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor, return_loss: bool = True) -> dict[str, torch.Tensor]:
        return {"loss": (torch.nn.functional.dropout(x, 0.5, self.training) - self.weight).square().mean()}


def collate(batch: Batch) -> dict[str, torch.Tensor]:
    """The model's input of a batch: each row number four times."""
    return {"x": torch.tensor([[float(row)] * 4 for _, row in batch])}


def build(params: Params, folder: Path, model: torch.nn.Module) -> Any:
    """A Trainer for the model on 20 rows; its checkpoints go to ``folder``."""
    data = TrainingData(schedule_batches(list(range(20)), [1] * 20, params.pretrain), [], collate)
    return trainer.build(model, data, params.pretrain, folder)


def tiny_params(params: Change, **changes: Any) -> Params:
    """Params of a training of 30 steps, with ``changes`` to the section pretrain."""
    settings = {"epochs": 3, "batch_size": 2, "lr": 0.1, "checkpoint_steps": 7, "warmup": 0.0}
    return params({"pretrain": settings | changes})
