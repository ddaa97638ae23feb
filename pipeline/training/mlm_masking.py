"""Words hidden from a masked-language model: which ones, and what stands in their place."""

from itertools import chain
from typing import Any

import numpy as np
import regex

from pipeline.text.scripts import SPACELESS
from pipeline.training import trainer

IGNORED = -100  # torch's cross-entropy skips this target


def word_numbers(encoded: Any, tokenizer: Any) -> list[list[int | None]]:
    """The word that each token of each row belongs to, None for special ones.

    The tokenizer's words. One of a script without spaces, which may be a whole clause, falls into its tokens: the bytes
    of one character stay together, and white space with what follows it.
    """
    pieces = {piece: tokenizer.decode([piece]) for piece in set(chain.from_iterable(encoded["input_ids"]))}
    spaceless = {piece for piece, text in pieces.items() if regex.search(SPACELESS, text)}
    blank = {piece for piece, text in pieces.items() if not text.strip()}
    found: list[list[int | None]] = []
    for row, ids in enumerate(encoded["input_ids"]):
        words, spans, number = encoded.word_ids(row), encoded.encodings[row].offsets, 0
        clauses = {word for word, piece in zip(words, ids, strict=True) if piece in spaceless}
        numbers: list[int | None] = []
        for i, word in enumerate(words):
            apart = word in clauses and i > 0 and ids[i - 1] not in blank and spans[i][0] >= spans[i - 1][1]
            number += i == 0 or word != words[i - 1] or apart
            numbers.append(None if word is None else number)
        found.append(numbers)
    return found


def hide(
    batch: trainer.Batch,
    rows: list[list[int]],
    words: list[list[int | None]],
    tokenizer: Any,
    probability: float,
    seed: int,
) -> tuple[list[list[int]], Any]:
    """Token ids of a batch with words hidden, and the targets (rows, longest): each hidden token, else IGNORED.

    ``rows`` and ``words`` hold the token ids of every row and the word that each token belongs to. The mask is drawn
    from the seed and the row's place in the schedule: it is the same after any kill.
    """
    hidden = []
    for place, row in batch:
        rng = np.random.default_rng([seed, place])
        hidden.append(mask_words(rows[row], words[row], tokenizer, probability, rng))
    return [ids for ids, _ in hidden], trainer.pad([targets for _, targets in hidden], IGNORED)


def mask_words(
    ids: list[int], words: list[int | None], tokenizer: Any, probability: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Ids with whole words hidden, and the targets: each word is drawn with ``probability``, at least one.

    Of a drawn word's tokens 80% become the mask, 10% a random token and 10% stay (Devlin et al. 2019), each by its
    own draw.
    """
    present = sorted({word for word in words if word is not None})
    if not present:
        return ids, [IGNORED] * len(ids)
    drawn = {word for word, draw in zip(present, rng.random(len(present)), strict=True) if draw < probability}
    drawn = drawn or {present[rng.integers(len(present))]}
    hidden, targets = list(ids), [IGNORED] * len(ids)
    for i, word in enumerate(words):
        if word in drawn:
            targets[i] = ids[i]
            draw = rng.random()
            if draw < 0.9:
                hidden[i] = tokenizer.mask_token_id if draw < 0.8 else int(rng.integers(len(tokenizer)))
    return hidden, targets
