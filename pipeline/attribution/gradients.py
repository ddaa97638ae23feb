"""Integrated gradients (Sundararajan et al. 2017), by captum, over the vectors of the tokens."""

import numpy as np
import torch

from pipeline.attribution.batches import Batch, encoder_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, Settings
from pipeline.attribution.views import by_words

ROWS = 8  # texts at a time
PASSES = 64  # texts between baseline and text at a time: bounds memory


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions along the way from a text of baseline tokens, special tokens kept, to the text itself.

    ``delta`` is the error of the sum over ``settings.steps`` steps (Gauss-Legendre); more steps make it smaller.
    """
    from captum.attr import LayerIntegratedGradients

    assert model.inside is not None
    network, blank = model.inside.network, model.inside.blank(settings.baseline)

    def score(ids: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return encoder_score(network, ids, mask, wanted)

    method = LayerIntegratedGradients(score, network.encoder.get_input_embeddings())

    def by_token(batch: Batch, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        start = torch.where(batch.special, batch.ids, blank)
        seen = method.attribute(
            batch.ids,
            start,
            additional_forward_args=(batch.mask, wanted),
            n_steps=settings.steps,
            internal_batch_size=max(PASSES, len(batch.rows)),
        )
        with torch.no_grad():
            ends = [encoder_score(network, ids, batch.mask, wanted) for ids in (start, batch.ids)]
        return seen.sum(2), *ends

    return by_words(model, texts, directions, by_token, ROWS)
