"""One student: a network made, trained as params say, and made plain again."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Finetune
from pipeline.core.stage import Metrics
from pipeline.stages.finetune import history
from pipeline.stages.finetune.penalty import Penalty
from pipeline.training import supervised, trainer

if TYPE_CHECKING:
    from pipeline.models.network import Network


@dataclass(frozen=True)
class Task:
    """What every student starts from and learns: the folder of the encoder, the probe's file, and the rows."""

    encoder: Encoder
    labels: list[str]
    start: Path
    probe: Path
    train: pd.DataFrame
    validation: pd.DataFrame
    penalty: Penalty | None


@dataclass(frozen=True)
class Student:
    """A trained network with its best weights, and what its training did."""

    net: "Network"
    tokenizer: Any
    history: pd.DataFrame
    metrics: Metrics


def learn(task: Task, params: Finetune, folder: Path, targets: np.ndarray | None = None) -> Student:
    """Train one student, from the last checkpoint in ``folder`` if a kill left one.

    ``targets``, (training rows, classes), are probabilities to learn instead of the rows' labels.
    """
    from pipeline.stages.finetune import low_rank
    from pipeline.stages.finetune.objective import extras

    train = task.train.iloc[:0] if ships_teacher_head(params) else task.train
    net, tokenizer = build(task, params)
    adapt(net, params, trainer.steps(len(train), params))
    sizes = {"parameters": count(net), "trainable_parameters": count(net, trainable=True)}
    curves = supervised.fit(
        net,
        tokenizer,
        train,
        task.validation,
        params,
        folder,
        evaluate_steps=params.evaluate_steps,
        patience=params.patience,
        extras=extras(net, tokenizer, params, targets, task.penalty),
    )
    if params.method in low_rank.METHODS:
        net.encoder = low_rank.merge(net.encoder)
    steps = history.table_of(curves)
    return Student(net, tokenizer, steps, history.summary(steps, len(task.validation)) | sizes)


def ships_teacher_head(params: Finetune) -> bool:
    """Whether the student is the teacher's heads on the untouched encoder, so that nothing is left to train."""
    return params.method == "teacher_head"


def build(task: Task, params: Finetune) -> tuple["Network", Any]:
    """The network before its first step, its head random (drawn with the seed) or the probe's, and the tokenizer."""
    frozen = params.method in ("teacher_head", "head")
    net, tokenizer = supervised.create(task.start, task.labels, task.encoder, params, frozen=frozen)
    if ships_teacher_head(params) or params.start == "probe":
        load_probe(net, task.probe)
    return net, tokenizer


def adapt(net: "Network", params: Finetune, steps: int) -> None:
    """Leave those weights of the encoder trainable that ``params.method`` names; the rest stay as they are."""
    from pipeline.models import adapters
    from pipeline.stages.finetune import low_rank

    if params.method == "full":
        return
    net.encoder.requires_grad_(False)
    if params.method in low_rank.METHODS:
        net.encoder = low_rank.wrap(net.encoder, params, steps)
    elif params.method in adapters.KINDS:
        size = params.peft.prefix_tokens if params.method == "prefix" else params.peft.width
        net.adapt(params.method, size)


def count(net: "Network", trainable: bool = False) -> int:
    """Weights of the network, or those of them that learn."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad or not trainable)


def load_probe(net: "Network", head: Path) -> None:
    """Give the network the teacher's heads: ``weight`` (classes, width), ``bias`` (classes,), and maybe its words'.

    Raises UserError when there are none or they belong to other labels or another encoder.
    """
    from safetensors.torch import load_file

    if not head.exists():
        raise UserError(f"{head}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    probe = load_file(head)
    classes, width = net.head.weight.shape
    expected: dict[str, tuple[int, ...]] = {"weight": (classes, width), "bias": (classes,)}
    if "idf" in probe:
        expected |= {"words": (len(probe["idf"]), classes), "idf": (len(probe["idf"]),)}
    found = {name: tuple(value.shape) for name, value in probe.items()}
    if found != expected:
        raise UserError(
            f"{head}: expected a linear head of {expected}, found {found or 'none'}; "
            "run `dvc repro`, or set finetune.start to random"
        )
    net.load_heads(probe)
