"""Training of the classifier network on labelled rows, as both the student and a fine-tuned teacher need it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core.params import Encoder, Supervised
from pipeline.training import trainer

if TYPE_CHECKING:
    from pipeline.models.network import Network


@dataclass(frozen=True)
class Extras:
    """What a training may have beyond the network, its own loss and the rows' labels.

    ``model`` holds the network and returns the whole loss; ``heads`` learn with ``head_lr``; ``inputs`` takes the
    tokenised rows and returns what makes further inputs of ``model`` from a batch; ``targets`` (training rows, classes)
    are probabilities to learn instead of labels.
    """

    model: Any
    heads: list[Any]
    inputs: Callable[[Any], Callable[[trainer.Batch], dict[str, Any]]] | None
    callbacks: list[Any]
    targets: np.ndarray | None


def create(
    start: Path, labels: list[str], encoder: Encoder, params: Supervised, frozen: bool = False
) -> tuple["Network", Any]:
    """The network over the encoder in ``start``, its head drawn with the seed, and the tokenizer.

    The encoder gets no dropout where it is ``frozen``: its vectors are then what they are without training.
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
    key: str | None = None,
) -> list[dict[str, float]]:
    """Train ``net`` in place on the rows' ``text``, ``target`` (class number) and ``weight``; return the curves.

    With validation rows the best weights are kept and training stops early; without training rows nothing is trained.
    ``key`` is as for `trainer.build`.
    """
    if train.empty and validation.empty:  # the tokenizer takes no empty list
        return []
    rows = pd.concat([train, validation], ignore_index=True)
    extras = extras or Extras(model=net, heads=[net.head], inputs=None, callbacks=[], targets=None)
    encoded = tokenizer(rows["text"].tolist(), truncation=True, max_length=net.max_length)
    tokens = encoded["input_ids"]
    lengths = [len(ids) for ids in tokens]
    held = trainer.held_out(list(range(len(train), len(rows))), lengths)
    batches = trainer.schedule(list(range(len(train))), lengths, params) if len(train) else []
    wanted = targets(rows, len(net.labels), extras.targets)
    further = extras.inputs(encoded) if extras.inputs else None
    data = trainer.Data(batches, held, collator(tokens, wanted, rows, tokenizer.pad_token_id, further))
    run = trainer.build(
        extras.model,
        data,
        params,
        folder,
        optimizer=optimizer(net, extras.heads, params),
        evaluate_steps=evaluate_steps if held else None,
        patience=patience if held else None,
        measure=accuracy,
        callbacks=extras.callbacks,
        key=key,
    )
    if batches:
        return trainer.train(run, patience if held else None)
    return [{"step": 0} | run.evaluate()] if held else []


def targets(rows: pd.DataFrame, classes: int, soft: np.ndarray | None) -> np.ndarray:
    """The probability of each class for each row, (rows, classes): of its label 1, or for the first rows ``soft``'s."""
    found = np.eye(classes, dtype=np.float32)[rows["target"].to_numpy()]
    if soft is not None:
        found[: len(soft)] = soft
    return found


def collator(
    tokens: list[list[int]],
    wanted: np.ndarray,
    rows: pd.DataFrame,
    pad_token: int | None,
    further: Callable[[trainer.Batch], dict[str, Any]] | None,
) -> Any:
    """The function that makes the network's inputs of a batch: tokens, targets, weights and what ``further`` adds."""
    import torch

    probabilities = torch.from_numpy(wanted)
    weights = torch.tensor(rows["weight"].tolist(), dtype=torch.float32)

    def collate(batch: trainer.Batch) -> dict[str, Any]:
        numbers = [row for _, row in batch]
        batch_inputs = trainer.inputs([tokens[row] for row in numbers], pad_token)
        batch_inputs |= {"targets": probabilities[numbers], "weights": weights[numbers]}
        return batch_inputs | further(batch) if further else batch_inputs

    return collate


def optimizer(net: "Network", heads: list[Any], params: Supervised) -> Any:
    """AdamW with ``head_lr`` for the heads; biases and norms, which are vectors, don't decay."""
    import torch

    groups = []
    for module, lr in ((net.encoder, params.lr), *((head, params.head_lr) for head in heads)):
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        for decays in (True, False):
            chosen = [weight for weight in weights if (weight.ndim > 1) == decays]
            groups.append({"params": chosen, "lr": lr, "weight_decay": params.weight_decay if decays else 0.0})
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)


def accuracy(predictions: Any) -> dict[str, float]:
    """Share of the rows whose highest logit is the target's."""
    logits, targets = predictions.predictions, predictions.label_ids
    return {"accuracy": float(np.mean(logits.argmax(1) == targets.argmax(1)))}
