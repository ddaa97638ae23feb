"""The method teacher_head: the teacher's heads on the untouched encoder ship as they are, and torch is not imported."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Finetune
from pipeline.core.stage import Metrics, Paths, write_atomically
from pipeline.models import model_graph
from pipeline.models.encoder import count_weights, vector_width
from pipeline.models.heads import Heads
from pipeline.models.model_folder import write_model
from pipeline.stages.finetune import history
from pipeline.stages.finetune.task import Task


@dataclass(frozen=True)
class Shipped:
    """The history and metrics of a model that was not trained."""

    history: pd.DataFrame
    metrics: Metrics


def ships_teacher_head(params: Finetune) -> bool:
    """Whether the student is the teacher's heads on the untouched encoder, so that nothing is left to train."""
    return params.method == "teacher_head"


def ship_teacher(task: Task, folder: Path, paths: Paths) -> Shipped:
    """Write the model to ``folder``, and measure it on the validation rows.

    Raises UserError as `read_teacher_heads` does.
    """
    heads = read_teacher_heads(task)
    write_atomically(folder, lambda part: write_model(task.start, heads, task.labels, task.encoder, part))
    steps = history.to_table([] if task.validation.empty else [evaluate(task.validation, folder, paths)])
    trainable = heads["weight"].size + heads["bias"].size
    sizes = {"parameters": count_weights(task.start) + trainable, "trainable_parameters": trainable}
    return Shipped(steps, history.summarise(steps, len(task.validation)) | sizes)


def read_teacher_heads(task: Task) -> Heads:
    """The teacher's linear head and, where it has one, its word head, float32.

    Raises UserError when the file is missing, or belongs to other labels or another encoder.
    """
    from safetensors.numpy import load_file

    file, classes, width = task.teacher_heads, len(task.labels), vector_width(task.start)
    if not file.exists():
        raise UserError(f"{file}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    heads: Heads = load_file(file)
    expected: dict[str, tuple[int, ...]] = {"weight": (classes, width), "bias": (classes,)}
    if "idf" in heads:
        expected |= {"words": (len(heads["idf"]), classes), "idf": (len(heads["idf"]),)}
    actual = {name: tuple(value.shape) for name, value in heads.items()}
    if actual != expected:
        raise UserError(
            f"{file}: expected a linear head of {expected}, found {actual or 'none'}; "
            "run `dvc repro`, or set finetune.start to random"
        )
    return heads


def evaluate(validation: pd.DataFrame, folder: Path, paths: Paths) -> dict[str, float]:
    """The weighted loss and the accuracy of the model in ``folder`` on the rows, as the first step of a training."""
    from scipy.special import log_softmax

    logits = model_graph.load(folder, paths).logits(validation["text"].tolist())
    truth, weights = validation["target"].to_numpy(), validation["weight"].to_numpy(float)
    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(truth)), truth]
    accuracy = float((logits.argmax(axis=1) == truth).mean())
    return {"step": 0, "eval_loss": float((losses * weights).sum() / weights.sum()), "eval_accuracy": accuracy}
