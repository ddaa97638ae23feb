"""Attention rollout (Abnar and Zuidema 2020): how much of each token flows into the vector of the text."""

import numpy as np
import torch

from pipeline.attribution.batches import Batch, encoder_score, hidden_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, NotApplicable, Settings
from pipeline.attribution.word_attribution import attribute_words

BATCH_SIZE = 32  # texts; bounds memory, as all attentions are kept


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions by rollout, which knows neither classes nor signs.

    The encoder's score, less the score of a text of baseline tokens, is split among the tokens by their share of the
    flow, so that all words have the sign of that difference. ``directions`` is (texts, classes), float32. Raises
    NotApplicable if the encoder gives no attentions among the text's tokens, and UserError if the tokenizer has no mask
    token and the baseline is ``mask``.
    """
    assert model.internals is not None
    network, blank = model.internals.network, model.internals.blank(settings.baseline)

    def token_scores(batch: Batch, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        blanks = torch.where(batch.special, batch.ids, blank)
        with torch.no_grad():
            base = encoder_score(network, blanks, batch.mask, directions)
            output = network.encoder(input_ids=batch.ids, attention_mask=batch.mask, output_attentions=True)
            score = hidden_score(network, output.last_hidden_state, batch.mask, directions)
        attentions = check_attentions(getattr(output, "attentions", None), batch.ids.shape[1])
        flow = attention_flow(attentions, batch.mask, network.pooling)
        return flow * (score - base)[:, None], base, score

    return attribute_words(model, texts, directions, token_scores, BATCH_SIZE)


def check_attentions(attentions: tuple[torch.Tensor, ...] | None, length: int) -> list[torch.Tensor]:
    """The ``attentions`` of all layers, each (rows, heads, tokens, tokens), float32.

    ``length`` is the number of tokens. Raises NotApplicable if there are none, or if tokens also attend to something
    else, such as a prefix.
    """
    if not attentions or any(layer is None for layer in attentions):
        raise NotApplicable("the encoder gives no attentions")
    if any(layer.ndim != 4 or layer.shape[-2:] != (length, length) for layer in attentions):
        raise NotApplicable("the encoder also attends to what is no token of the text, such as a prefix")
    return list(attentions)


def attention_flow(attentions: list[torch.Tensor], mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """The share of each token in the text's vector, (rows, tokens), float32, 0 to 1; rows sum to 1.

    ``attentions`` has (rows, heads, tokens, tokens), float32, of each layer; ``mask`` is (rows, tokens), int64. Heads
    are averaged. Half of each layer's output is its input, which the residual connection passes on.
    """
    flow = torch.eye(mask.shape[1]).expand(len(mask), -1, -1)
    for layer in attentions:
        flow = (layer.mean(1) + torch.eye(mask.shape[1])) / 2 @ flow
    if pooling == "cls":
        return flow[:, 0] * mask
    weight = mask.unsqueeze(-1).float()
    return (flow * weight).sum(1) / weight.sum(1) * mask
