"""One student: its network is built, trained by ``finetune.method``, and turned back into a plain network."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core.params import Finetune
from pipeline.core.stage import Metrics
from pipeline.stages.finetune import history
from pipeline.stages.finetune.task import Task
from pipeline.stages.finetune.teacher import read_teacher_heads
from pipeline.training import supervised
from pipeline.training.batches import step_count

if TYPE_CHECKING:
    import torch

    from pipeline.models.network import Network


@dataclass(frozen=True)
class Student:
    """A trained network with its best weights, and the history and metrics of its training."""

    net: "Network"
    tokenizer: Any
    history: pd.DataFrame
    metrics: Metrics


def train_student(task: Task, params: Finetune, folder: Path, targets: np.ndarray | None = None) -> Student:
    """Train one student, from the last checkpoint in ``folder`` if a kill left one.

    ``targets`` (training rows, classes), float32, 0 to 1, are probabilities to learn instead of the rows' labels.
    """
    from pipeline.stages.finetune import low_rank
    from pipeline.stages.finetune.objective import make_extras

    train = task.train
    net, tokenizer = build_network(task, params)
    set_trainable(net, params, step_count(len(train), params))
    sizes = {"parameters": count_weights(net), "trainable_parameters": count_weights(net, trainable=True)}
    curves = supervised.fit(
        net,
        tokenizer,
        train,
        task.validation,
        params,
        folder,
        evaluate_steps=params.evaluate_steps,
        patience=params.patience,
        extras=make_extras(net, tokenizer, params, targets, task.penalty),
        compute=task.compute,
        workers=task.workers,
    )
    if params.method in low_rank.METHODS:
        net.encoder = low_rank.merge_into_weights(net.encoder)
    steps = history.to_table(curves)
    return Student(net, tokenizer, steps, history.summarise(steps, len(task.validation)) | sizes)


def keeps_encoder(params: Finetune) -> bool:
    """Whether the encoder that the student starts from is also the one that it ends with."""
    return params.method == "head"


def build_network(task: Task, params: Finetune) -> tuple["Network", Any]:
    """The network before its first step, and the tokenizer.

    Its head is random, drawn with the seed, or the teacher's.
    """
    frozen = keeps_encoder(params)
    net, tokenizer = supervised.create_network(task.start, task.labels, task.encoder, params, frozen=frozen)
    if params.start == "probe":
        net.load_heads(read_torch_heads(task))
    return net, tokenizer


def set_trainable(net: "Network", params: Finetune, steps: int) -> None:
    """Leave those weights of the encoder trainable that ``params.method`` names, and freeze the rest."""
    from pipeline.models import adapters
    from pipeline.stages.finetune import low_rank

    if params.method == "full":
        return
    net.encoder.requires_grad_(False)
    if params.method in low_rank.METHODS:
        net.encoder = low_rank.add_low_rank(net.encoder, params, steps)
    elif params.method in adapters.KINDS:
        size = params.peft.prefix_tokens if params.method == "prefix" else params.peft.width
        net.add_adapters(params.method, size)


def count_weights(net: "Network", trainable: bool = False) -> int:
    """The number of weights of the network, or of those that learn."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad or not trainable)


def read_torch_heads(task: Task) -> dict[str, "torch.Tensor"]:
    """The teacher's heads as torch tensors, float32: weight (classes, width), bias (classes,), and maybe words.

    Raises UserError as `read_teacher_heads` does.
    """
    import torch

    return {name: torch.from_numpy(value) for name, value in read_teacher_heads(task).items()}
