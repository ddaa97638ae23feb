"""Masking for a masked-language model: which words of a text are hidden, and what replaces their tokens."""

from itertools import chain
from typing import Any

import numpy as np
import regex

from pipeline.text.scripts import UNSPACED_SCRIPTS
from pipeline.training.batches import Batch, pad

IGNORED = -100  # torch's cross-entropy skips this target


def word_indices(encoded: Any, tokenizer: Any) -> list[list[int | None]]:
    """The index of the word that each token of each row belongs to; None for special tokens.

    Words are those of the tokenizer. In a script without spaces, such a word may be a whole clause, so it is split into
    its tokens. The bytes of one character stay together, and so does white space with the token behind it.
    """
    pieces = {piece: tokenizer.decode([piece]) for piece in set(chain.from_iterable(encoded["input_ids"]))}
    without_spaces = {piece for piece, text in pieces.items() if regex.search(UNSPACED_SCRIPTS, text)}
    blank = {piece for piece, text in pieces.items() if not text.strip()}
    indices_by_row: list[list[int | None]] = []
    for row, ids in enumerate(encoded["input_ids"]):
        words, spans, index = encoded.word_ids(row), encoded.encodings[row].offsets, 0
        clauses = {word for word, piece in zip(words, ids, strict=True) if piece in without_spaces}
        indices: list[int | None] = []
        for i, word in enumerate(words):
            splits = word in clauses and i > 0 and ids[i - 1] not in blank and spans[i][0] >= spans[i - 1][1]
            index += i == 0 or word != words[i - 1] or splits
            indices.append(None if word is None else index)
        indices_by_row.append(indices)
    return indices_by_row


def mask_batch(
    batch: Batch,
    rows: list[list[int]],
    words: list[list[int | None]],
    tokenizer: Any,
    probability: float,
    seed: int,
) -> tuple[list[list[int]], Any]:
    """Token ids of a batch with words hidden, and the targets (rows, longest), int64: each hidden token, else IGNORED.

    It pads what `mask_rows` returns.
    """
    masked, targets = mask_rows(batch, rows, words, tokenizer, probability, seed)
    return masked, pad(targets, IGNORED)


def mask_rows(
    batch: Batch,
    rows: list[list[int]],
    words: list[list[int | None]],
    tokenizer: Any,
    probability: float,
    seed: int,
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of each row of a batch with words hidden, and its targets: each hidden token, else IGNORED.

    ``rows`` and ``words`` hold the token ids and the word indices of every row of the training. The draw depends on the
    seed and on the row's place in the schedule alone, so that it is the same in a resumed training.
    """
    masked = []
    for place, row in batch:
        rng = np.random.default_rng([seed, place])
        masked.append(mask_words(rows[row], words[row], tokenizer, probability, rng))
    return [ids for ids, _ in masked], [targets for _, targets in masked]


def mask_words(
    ids: list[int], words: list[int | None], tokenizer: Any, probability: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Token ids of one text with whole words hidden, and the targets: each hidden token, else IGNORED.

    Each word is hidden with ``probability`` (0 to 1), and at least one is. Each token of a hidden word is drawn for
    itself: 80% become the mask, 10% a random token, and 10% stay (Devlin et al. 2019, "BERT").
    """
    present = sorted({word for word in words if word is not None})
    if not present:
        return ids, [IGNORED] * len(ids)
    drawn = {word for word, draw in zip(present, rng.random(len(present)), strict=True) if draw < probability}
    drawn = drawn or {present[rng.integers(len(present))]}
    masked, targets = list(ids), [IGNORED] * len(ids)
    for i, word in enumerate(words):
        if word in drawn:
            targets[i] = ids[i]
            draw = rng.random()
            if draw < 0.9:
                masked[i] = tokenizer.mask_token_id if draw < 0.8 else int(rng.integers(len(tokenizer)))
    return masked, targets
