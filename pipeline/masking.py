"""Words hidden from a masked-language model: which ones, and what stands in their place."""

from typing import Any

import numpy as np
import regex

from pipeline import trainer
from pipeline.scripts import SPACELESS

IGNORED = -100  # torch's cross-entropy skips this target


def word_numbers(encoded: Any, tokenizer: Any) -> list[list[int | None]]:
    """The word that each token of each row belongs to, None for special ones.

    The tokenizer's words, but in scripts without spaces, where it may take a whole clause for one, each token.
    """
    pieces = tokenizer.batch_decode([[piece] for piece in range(len(tokenizer))])
    alone = np.array([bool(regex.search(SPACELESS, piece)) for piece in pieces])
    found: list[list[int | None]] = []
    for row, ids in enumerate(encoded["input_ids"]):
        own, single = encoded.word_ids(row), alone[ids]
        starts = [i == 0 or own[i] != own[i - 1] or single[i] or single[i - 1] for i in range(len(ids))]
        found.append([None if word is None else int(n) for word, n in zip(own, np.cumsum(starts), strict=True)])
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
