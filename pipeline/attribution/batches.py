"""Texts as padded batches of token ids, and the two parts of a network's score: the encoder's and the word head's."""

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
    """Texts of similar length: their positions in the list, and three tensors of (rows, tokens)."""

    rows: list[int]
    ids: torch.Tensor  # int64
    mask: torch.Tensor  # int64, 1 where there is a token
    special: torch.Tensor  # bool, true for special tokens and padding


def padded_batches(internals: "Internals", encodings: list[Encoding], size: int) -> Iterator[Batch]:
    """Batches of up to ``size`` texts, the shortest texts first, padded on the right."""
    order = sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        length = max(1, *(len(encodings[row].ids) for row in rows))
        ids = torch.full((len(rows), length), internals.pad)
        mask, special = torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
        for i, row in enumerate(rows):
            count = len(encodings[row].ids)
            ids[i, :count] = torch.tensor(encodings[row].ids)
            mask[i, :count] = 1
            special[i, :count] = torch.tensor(encodings[row].special_tokens_mask, dtype=torch.bool)
        yield Batch(rows, ids, mask, special)


def encoder_score(network: "Network", ids: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """The score by the encoder and its head, (rows,), float32, without the word head.

    ``ids`` and ``mask`` are (rows, tokens), int64; ``directions`` is (rows, classes), float32.
    """
    hidden = network.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden_score(network, hidden, mask, directions)


def hidden_score(
    network: "Network", hidden: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """The score of `encoder_score`, (rows,), float32, from the encoder's last hidden states.

    ``hidden`` is (rows, tokens, width), float; ``mask`` is (rows, tokens), int64; ``directions`` is (rows, classes),
    float32.
    """
    vectors = encoders.pool(hidden.float(), mask, network.pooling)
    return (network.head(vectors).float() * directions).sum(1)


def word_head_scores(
    network: "Network", ids: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """How much each token adds to the score through the word head, (rows, tokens), float32; zeros without one.

    The values are exact, because that head is a sum over tokens. ``ids`` and ``mask`` are (rows, tokens), int64;
    ``directions`` is (rows, classes), float32.
    """
    if network.words is None:
        return torch.zeros(ids.shape)
    return network.words.token_weights(ids, mask) * (network.words.table[ids] * directions[:, None]).sum(2)
