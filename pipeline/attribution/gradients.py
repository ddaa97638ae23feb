"""Integrated gradients (Sundararajan et al. 2017), by captum, over the vectors of the tokens."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pipeline.attribution.batches import Batch, encoder_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, Settings
from pipeline.attribution.views import by_words

ROWS = 4  # texts at a time: the fewer, the less padding
PASSES = 64  # texts between baseline and text at a time: bounds memory


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions along the way from a text of baseline tokens, special tokens kept, to the text itself.

    ``delta`` is the error of the sum over ``settings.steps`` steps (Gauss-Legendre); more steps make it smaller.
    """
    from captum.attr import IntegratedGradients

    assert model.inside is not None
    network, blank = model.inside.network, model.inside.blank(settings.baseline)
    embeddings = network.encoder.get_input_embeddings()

    def score(vectors: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        with handing_on(embeddings, vectors):
            return encoder_score(network, ids, mask, wanted)

    method = IntegratedGradients(score)

    def by_token(batch: Batch, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        start = torch.where(batch.special, batch.ids, blank)
        with torch.no_grad():
            ends = [encoder_score(network, ids, batch.mask, wanted) for ids in (start, batch.ids)]
            before, after = embeddings(start), embeddings(batch.ids)
        seen = method.attribute(
            after,
            before,
            additional_forward_args=(batch.ids, batch.mask, wanted),
            n_steps=settings.steps,
            internal_batch_size=max(PASSES, len(batch.rows)),
        )
        return seen.sum(2), *ends

    return by_words(model, texts, directions, by_token, ROWS)


@contextmanager
def handing_on(layer: torch.nn.Module, vectors: torch.Tensor) -> Iterator[None]:
    """The layer gives these vectors, whatever it reads. captum's own way for layers runs the network twice more."""
    handle = layer.register_forward_hook(lambda *_: vectors)
    try:
        yield
    finally:
        handle.remove()
