"""Training of the classifier network on labelled rows, as the student and a fine-tuned teacher both need it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core.params import Compute, Encoder, Supervised
from pipeline.training import ray_training, trainer
from pipeline.training.batches import Batch, TrainingData, evaluation_batches, model_inputs, schedule_batches

if TYPE_CHECKING:
    from pipeline.models.network import Network

BatchInputs = Callable[[Batch], dict[str, Any]]  # from a batch to inputs of the model, by name


@dataclass(frozen=True)
class Extras:
    """What a training adds to the network, its loss and the rows' labels."""

    model: Any  # the module that holds the network and returns the whole loss
    heads: list[Any]  # the modules that learn with ``head_lr``
    extra_inputs: Callable[[Any], BatchInputs] | None  # from the tokenised rows to further inputs of ``model``
    callbacks: list[Any]
    soft_targets: np.ndarray | None  # (training rows, classes), probabilities that are learned instead of labels


def create_network(
    start: Path, labels: list[str], encoder: Encoder, params: Supervised, frozen: bool = False
) -> tuple["Network", Any]:
    """The network over the encoder in ``start``, its head drawn with the seed, and the tokenizer.

    A ``frozen`` encoder gets no dropout, so that its vectors are the same as without training.
    """
    from transformers import set_seed

    from pipeline.models import network

    set_seed(params.seed)
    return network.create(
        start,
        labels,
        pooling=encoder.pooling,
        max_length=encoder.max_length,
        dropout=params.dropout,
        encoder_dropout=0.0 if frozen else params.dropout,
        label_smoothing=params.label_smoothing,
    )


def fit(
    net: "Network",
    tokenizer: Any,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    params: Supervised,
    folder: Path,
    *,
    evaluate_steps: int,
    patience: int,
    extras: Extras | None = None,
    section: str | None = None,
    compute: Compute | None = None,
    workers: int = 1,
) -> list[dict[str, float]]:
    """Train ``net`` in place on the rows' ``text``, ``target`` (class index) and ``weight``; return the curves.

    With validation rows, training stops early and the best weights are kept. Without training rows, nothing is trained.
    ``section`` is as for `trainer.build`. Above 1, ``workers`` of the cluster of ``compute`` train together.
    """
    if train.empty and validation.empty:  # the tokenizer takes no empty list
        return []
    extras = extras or Extras(model=net, heads=[net.head], extra_inputs=None, callbacks=[], soft_targets=None)
    data = prepare_data(net, tokenizer, train, validation, params, extras)
    build = partial(
        trainer.build,
        extras.model,
        data,
        params,
        folder,
        optimizer=create_optimizer(net, extras.heads, params),
        evaluate_steps=evaluate_steps if data.evaluation else None,
        patience=patience if data.evaluation else None,
        compute_metrics=accuracy,
        callbacks=extras.callbacks,
        section=section,
    )
    run = build()
    if data.train:
        return ray_training.train(build, run, params, compute, workers, patience if data.evaluation else None)
    return [{"step": 0} | run.evaluate()] if data.evaluation else []


def prepare_data(
    net: "Network", tokenizer: Any, train: pd.DataFrame, validation: pd.DataFrame, params: Supervised, extras: Extras
) -> TrainingData:
    """The batches of training and validation rows, tokenised; the validation rows are numbered after the others."""
    rows = pd.concat([train, validation], ignore_index=True)
    encoded = tokenizer(rows["text"].tolist(), truncation=True, max_length=net.max_length)
    tokens = encoded["input_ids"]
    lengths = [len(ids) for ids in tokens]
    evaluation = evaluation_batches(list(range(len(train), len(rows))), lengths)
    batches = schedule_batches(list(range(len(train))), lengths, params) if len(train) else []
    targets = target_probabilities(rows, len(net.labels), extras.soft_targets)
    extra_inputs = extras.extra_inputs(encoded) if extras.extra_inputs else None
    return TrainingData(batches, evaluation, make_collator(tokens, targets, rows, tokenizer.pad_token_id, extra_inputs))


def target_probabilities(rows: pd.DataFrame, classes: int, soft: np.ndarray | None) -> np.ndarray:
    """The probability of each class for each row, (rows, classes), float32, 0 to 1.

    It is 1 for the class index in ``target``. The first rows take those of ``soft`` (training rows, classes) instead,
    where it is given.
    """
    probabilities = np.eye(classes, dtype=np.float32)[rows["target"].to_numpy()]
    if soft is not None:
        probabilities[: len(soft)] = soft
    return probabilities


def make_collator(
    tokens: list[list[int]],
    targets: np.ndarray,
    rows: pd.DataFrame,
    pad_token: int | None,
    extra_inputs: BatchInputs | None,
) -> BatchInputs:
    """The function from a batch to the network's inputs: tokens, targets, weights and those of ``extra_inputs``.

    ``tokens`` holds the token ids of each of ``rows``, ``targets`` (rows, classes), float32, their probabilities.
    """
    import torch

    probabilities = torch.from_numpy(targets)
    weights = torch.tensor(rows["weight"].tolist(), dtype=torch.float32)

    def collate(batch: Batch) -> dict[str, Any]:
        chosen = [row for _, row in batch]
        inputs = model_inputs([tokens[row] for row in chosen], pad_token)
        inputs |= {"targets": probabilities[chosen], "weights": weights[chosen]}
        return inputs | extra_inputs(batch) if extra_inputs else inputs

    return collate


def create_optimizer(net: "Network", heads: list[Any], params: Supervised) -> Any:
    """AdamW (Loshchilov and Hutter 2019) with ``lr`` for the encoder and ``head_lr`` for the heads.

    Only matrices decay; biases and norms, which are vectors, don't.
    """
    import torch

    groups = []
    for module, lr in ((net.encoder, params.lr), *((head, params.head_lr) for head in heads)):
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        for decays in (True, False):
            chosen = [weight for weight in weights if (weight.ndim > 1) == decays]
            groups.append({"params": chosen, "lr": lr, "weight_decay": params.weight_decay if decays else 0.0})
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)


def accuracy(predictions: Any) -> dict[str, float]:
    """``accuracy``, 0 to 1: the share of the rows whose highest logit is the target's."""
    logits, targets = predictions.predictions, predictions.label_ids
    return {"accuracy": float(np.mean(logits.argmax(1) == targets.argmax(1)))}
