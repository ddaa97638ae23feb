"""From tokens to words: the attribution of a text from the scores of its tokens, for methods that need the network."""

from collections.abc import Callable

import numpy as np
import torch

from pipeline.attribution.batches import Batch, padded_batches, word_head_scores
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution
from pipeline.attribution.words import alignment, word_spans

# Maps a batch and its directions (rows, classes) to what each token adds to the encoder's score (rows, tokens), the
# encoder's score without the words (rows,), and the encoder's score (rows,).
TokenScores = Callable[[Batch, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def attribute_words(
    model: Model, texts: list[str], directions: np.ndarray, token_scores: TokenScores, size: int
) -> list[Attribution]:
    """The attribution of each text: ``token_scores`` splits the encoder's score, the word head's part is added exactly.

    ``directions`` is (texts, classes), float32; ``size`` is the number of texts in a batch.
    """
    assert model.internals is not None, "methods that need weights get a model loaded with its internals"
    encodings = model.internals.tokenizer.encode_batch(texts)
    attributions: dict[int, Attribution] = {}
    for batch in padded_batches(model.internals, encodings, size):
        batch_directions = torch.from_numpy(directions[batch.rows])
        by_token, base, score = (part.detach().double().numpy() for part in token_scores(batch, batch_directions))
        table = word_head_scores(model.internals.network, batch.ids, batch.mask, batch_directions).double().numpy()
        for i, row in enumerate(batch.rows):
            shares = alignment(encodings[row], word_spans(texts[row]))
            count = len(shares)
            table_by_word = table[i, :count] @ shares
            by_word = by_token[i, :count] @ shares + table_by_word
            total = score[i] + table[i, :count].sum()
            attributions[row] = Attribution(
                words=by_word[:-1],
                table=table_by_word[:-1],
                rest=float(by_word[-1]),
                base=float(base[i]),
                score=float(total),
                unexplained=float(total - base[i] - by_word.sum()),
            )
    return [attributions[row] for row in range(len(texts))]
