"""Packing: several whole texts share one row of a batch, so that nothing is spent on padding.

Each text attends to itself alone, and its positions begin at 0. The loss is therefore that of the same texts in rows of
their own (Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination"). All batches have one shape,
which is compiled once.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.params import Training
from pipeline.training.batches import POOL, Batch, pad

ARCHITECTURES = ("bert",)  # positions are an input that counts from 0, and attention takes a mask of any form
NOTHING = -1  # the text of a place that holds padding


def require_packable(config: Any, section: str) -> None:
    """Raises UserError if a model of this config cannot be trained on packed texts."""
    if config.model_type not in ARCHITECTURES:
        raise UserError(
            f"{section}.packing: expected an encoder of the type {', '.join(ARCHITECTURES)}, "
            f"found {config.model_type}; set it to false"
        )


def pack(rows: list[int], lengths: list[int], capacity: int) -> list[list[int]]:
    """The rows in packs of at most ``capacity`` tokens; ``lengths`` holds the number of tokens of every row.

    The longest row comes first, into the fullest pack that has room for it (best fit decreasing).
    """
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (tokens that are free, number of the pack), in order
    for row in sorted(rows, key=lambda row: -lengths[row]):
        place = bisect_left(rooms, (lengths[row], -1))
        room, number = rooms.pop(place) if place < len(rooms) else (capacity, len(packs))
        if number == len(packs):
            packs.append([])
        packs[number].append(row)
        insort(rooms, (room - lengths[row], number))
    return packs


def schedule_packed_batches(rows: list[int], lengths: list[int], params: Training, capacity: int) -> list[Batch]:
    """All batches of a training on ``rows``, as of `schedule_batches`; a batch is ``params.batch_size`` packs.

    The rows of a pack stand together. The seed decides which rows those are, and in which order the batches come.
    """
    rng = np.random.default_rng(params.seed)
    batches: list[Any] = []
    size, wanted = params.batch_size, 1
    while len(batches) < wanted:
        shuffled = rng.permutation(rows).tolist()
        windows = [shuffled[start : start + POOL * size] for start in range(0, len(shuffled), POOL * size)]
        packs = [packed for window in windows for packed in pack(window, lengths, capacity)]
        drawn = [packs[i] for i in rng.permutation(len(packs))]
        epoch = [list(chain(*drawn[start : start + size])) for start in range(0, len(drawn), size)]
        if not batches:
            wanted = max(1, round(params.epochs * len(epoch)))
            most = params.max_steps and params.max_steps * params.gradient_accumulation
            wanted = min(wanted, most or wanted)
        batches += epoch
    places = iter(range(sum(map(len, batches))))
    return [[(next(places), row) for row in batch] for batch in batches[:wanted]]


def packed_inputs(
    ids: list[list[int]], targets: list[list[int]], pad_token: int, ignored: int, capacity: int, count: int | None
) -> dict[str, Any]:
    """The model's inputs for texts that stand in the order of their packs, all (packs, capacity), int64.

    ``input_ids``; ``labels``, ``ignored`` where nothing was hidden; ``position_ids``, from 0 in each text; ``texts``,
    the number of the text in its pack, NOTHING in padding. Empty packs fill them up to ``count`` rows.
    """
    import torch

    packs: list[list[int]] = [[]]
    filled = 0
    for i, text in enumerate(ids):  # in their order: no more packs than they were scheduled in
        if filled + len(text) > capacity:
            packs.append([])
            filled = 0
        packs[-1].append(i)
        filled += len(text)
    packs += [[]] * ((count or 0) - len(packs))

    def joined(values: list[list[int]], fill: int) -> Any:
        rows = [list(chain.from_iterable(values[i] for i in packed)) for packed in packs]
        return pad([*rows, [fill] * capacity], fill)[: len(rows)]  # the row that is cut off sets the width

    inputs = {"input_ids": joined(ids, pad_token), "labels": joined(targets, ignored)}
    inputs["position_ids"] = joined([list(range(len(text))) for text in ids], 0)
    inputs["texts"] = torch.full_like(inputs["input_ids"], NOTHING)
    for row, packed in enumerate(packs):
        numbers = [number for number, i in enumerate(packed) for _ in ids[i]]
        inputs["texts"][row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
    return inputs


@contextmanager
def attention_within_texts(model: Any) -> Iterator[None]:
    """Let ``model`` take ``texts`` of `packed_inputs` for the block: each token then attends to those of its own text.

    The mask is made where the model is, so that a batch that is sent there stays small.
    """

    def make_mask(_: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        texts = inputs.pop("texts", None)
        if texts is not None:
            inputs["attention_mask"] = (texts.unsqueeze(2) == texts.unsqueeze(1)).unsqueeze(1)
        return args, inputs

    hook = model.register_forward_pre_hook(make_mask, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
