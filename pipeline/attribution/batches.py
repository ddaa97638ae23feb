"""Texts as padded batches of token ids, and the parts of a network's score that do not depend on the method."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tokenizers import Encoding

from pipeline.models import encoder as encoders

if TYPE_CHECKING:
    from pipeline.attribution.internals import Internals
    from pipeline.models.network import Network


@dataclass(frozen=True)
class Batch:
    """Texts of like length: their places in the list, and (rows, tokens) ids, mask and whether a token is special."""

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor
    special: torch.Tensor


def batches(inside: "Internals", encodings: list[Encoding], size: int) -> Iterator[Batch]:
    """Batches of up to ``size`` texts, the shortest first, padded on the right."""
    order = sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        length = max(1, *(len(encodings[row].ids) for row in rows))
        ids = torch.full((len(rows), length), inside.pad)
        mask, special = torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
        for i, row in enumerate(rows):
            count = len(encodings[row].ids)
            ids[i, :count] = torch.tensor(encodings[row].ids)
            mask[i, :count] = 1
            special[i, :count] = torch.tensor(encodings[row].special_tokens_mask, dtype=torch.bool)
        yield Batch(rows, ids, mask, special)


def encoder_score(network: "Network", ids: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """The score (rows,) of what the encoder and its head say, without the words' table."""
    hidden = network.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden_score(network, hidden, mask, directions)


def hidden_score(
    network: "Network", hidden: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """The same from what the encoder made of the tokens, (rows, tokens, width)."""
    vectors = encoders.pool(hidden.float(), mask, network.pooling)
    return (network.head(vectors).float() * directions).sum(1)


def table_score(network: "Network", ids: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """What each token adds to the score (rows, tokens) through the words' table: exact, for that view is a sum."""
    if network.words is None:
        return torch.zeros(ids.shape)
    return network.words.weights(ids, mask) * (network.words.table[ids] * directions[:, None]).sum(2)
