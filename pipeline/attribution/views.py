"""From tokens to words: both views of a network put together for one text after another."""

from collections.abc import Callable

import numpy as np
import torch

from pipeline.attribution.batches import Batch, batches, table_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution
from pipeline.attribution.words import alignment, spans

# For a batch and its directions (rows, classes): what each token adds to the encoder's score (rows, tokens), the score
# without the words (rows,) and the score (rows,).
TokenScores = Callable[[Batch, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def by_words(
    model: Model, texts: list[str], directions: np.ndarray, encoder: TokenScores, size: int
) -> list[Attribution]:
    """The attribution of each text: ``encoder`` attributes the encoder's score, the words' table is added exactly."""
    assert model.inside is not None, "the methods that look inside get a model loaded with its network"
    encodings = model.inside.tokenizer.encode_batch(texts)
    found: dict[int, Attribution] = {}
    for batch in batches(model.inside, encodings, size):
        wanted = torch.from_numpy(directions[batch.rows])
        seen, base, score = (part.detach().double().numpy() for part in encoder(batch, wanted))
        table = table_score(model.inside.network, batch.ids, batch.mask, wanted).double().numpy()
        for i, row in enumerate(batch.rows):
            shares = alignment(encodings[row], spans(texts[row]))
            count = len(shares)
            known = table[i, :count] @ shares
            parts = seen[i, :count] @ shares + known
            total = score[i] + table[i, :count].sum()
            found[row] = Attribution(
                words=parts[:-1],
                table=known[:-1],
                rest=float(parts[-1]),
                base=float(base[i]),
                score=float(total),
                delta=float(total - base[i] - parts.sum()),
            )
    return [found[row] for row in range(len(texts))]
