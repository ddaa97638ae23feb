"""Integrated gradients (Sundararajan et al. 2017) over the token embeddings, computed by captum."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pipeline.attribution.batches import Batch, encoder_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, Settings
from pipeline.attribution.word_attribution import attribute_words

BATCH_SIZE = 4  # texts: a small batch has little padding
MAX_PASSES = 64  # interpolated texts in one pass through the encoder: bounds memory


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions along the path from a text of baseline tokens, special tokens kept, to the text itself.

    ``directions`` is (texts, classes), float32. ``unexplained`` is the error of the integral by ``settings.steps``
    steps (Gauss-Legendre); more steps make it smaller. Raises UserError if the tokenizer has no mask token and the
    baseline is ``mask``.
    """
    from captum.attr import IntegratedGradients

    assert model.internals is not None
    network, blank = model.internals.network, model.internals.blank(settings.baseline)
    embeddings = network.encoder.get_input_embeddings()

    def score(vectors: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        with replaced_output(embeddings, vectors):
            return encoder_score(network, ids, mask, directions)

    method = IntegratedGradients(score)

    def token_scores(batch: Batch, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        blanks = torch.where(batch.special, batch.ids, blank)
        with torch.no_grad():
            base, full = (encoder_score(network, ids, batch.mask, directions) for ids in (blanks, batch.ids))
            baseline_vectors, vectors = embeddings(blanks), embeddings(batch.ids)
        gradients = method.attribute(
            vectors,
            baseline_vectors,
            additional_forward_args=(batch.ids, batch.mask, directions),
            n_steps=settings.steps,
            internal_batch_size=max(MAX_PASSES, len(batch.rows)),
        )
        return gradients.sum(2), base, full

    return attribute_words(model, texts, directions, token_scores, BATCH_SIZE)


@contextmanager
def replaced_output(layer: torch.nn.Module, vectors: torch.Tensor) -> Iterator[None]:
    """Let a layer return ``vectors``, (rows, tokens, width), float32, whatever its input.

    captum's LayerIntegratedGradients does the same, but runs the network two more times.
    """
    handle = layer.register_forward_hook(lambda *_: vectors)
    try:
        yield
    finally:
        handle.remove()
