"""The batches of a training: which rows share one, the order in which they come, and their token ids as tensors.

All batches are laid out before the first step. Step n therefore trains on the same rows however often the process was
killed before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.params import Training

Batch = list[tuple[int, int]]  # (place in the schedule, row number): the place seeds whatever is drawn for the row
POOL = 50  # batches that are sorted by length together: enough to save padding, few enough to stay mixed


@dataclass(frozen=True)
class TrainingData:
    """The batches of a training and of its evaluations; ``collate`` makes the model's inputs from one batch."""

    train: list[Batch]
    evaluation: list[Batch]  # one row each: the Trainer groups them
    collate: Callable[[Batch], dict[str, Any]]


def schedule_batches(rows: list[int], lengths: list[int], params: Training) -> list[Batch]:
    """All batches of a training on ``rows``, for ``params.epochs`` (maybe a fraction) or up to ``params.max_steps``.

    ``lengths`` holds the number of tokens of every row: rows of like length share a batch. The seed decides which rows
    those are and in which order the batches come. No batch reaches over the end of an epoch, so that no row is in a
    batch twice.
    """
    rng = np.random.default_rng(params.seed)
    size, count = params.batch_size, batch_count(len(rows), params)
    batches: list[list[int]] = []
    while len(batches) < count:
        shuffled = rng.permutation(rows).tolist()
        for start in range(0, len(shuffled), POOL * size):
            pool = sorted(shuffled[start : start + POOL * size], key=lengths.__getitem__)
            cut = [pool[i : i + size] for i in range(0, len(pool), size)]
            batches.extend(cut[i] for i in rng.permutation(len(cut)))
    places = iter(range(count * size))
    return [[(next(places), row) for row in batch] for batch in batches[:count]]


def batch_count(rows: int, params: Training) -> int:
    """The number of batches of a training on ``rows`` rows."""
    count = max(1, round(params.epochs * -(-rows // params.batch_size)))
    return count if params.max_steps is None else min(count, params.max_steps * params.gradient_accumulation)


def step_count(rows: int, params: Training) -> int:
    """The number of optimizer steps of a training on ``rows`` rows, if early stopping does not end it."""
    return -(-batch_count(rows, params) // params.gradient_accumulation)


def evaluation_batches(rows: list[int], lengths: list[int]) -> list[Batch]:
    """Batches of one row each to evaluate on; short rows come first, so that little is spent on padding."""
    return [[(place, row)] for place, row in enumerate(sorted(rows, key=lengths.__getitem__))]


def pad(rows: list[list[int]], value: int) -> Any:
    """Rows of token ids as one tensor (rows, longest), int64, filled up with ``value`` on the right."""
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def model_inputs(rows: list[list[int]], pad_token: int | None) -> dict[str, Any]:
    """``input_ids`` and ``attention_mask`` (1: token, 0: padding) of rows of token ids, both (rows, longest), int64."""
    return {"input_ids": pad(rows, pad_token or 0), "attention_mask": pad([[1] * len(row) for row in rows], 0)}
