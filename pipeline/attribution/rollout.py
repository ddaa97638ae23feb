"""Attention rollout (Abnar and Zuidema 2020): how much of each token flows into the vector of the text."""

import numpy as np
import torch

from pipeline.attribution.batches import Batch, encoder_score, hidden_score
from pipeline.attribution.model import Model
from pipeline.attribution.result import Attribution, NotApplicable, Settings
from pipeline.attribution.views import by_words

ROWS = 32


def attribute(model: Model, texts: list[str], directions: np.ndarray, settings: Settings) -> list[Attribution]:
    """Attributions by rollout, which knows neither classes nor signs.

    The encoder's score, less that of a text of baseline tokens, is split by each token's part in the flow: a word gets
    the sign of the whole. Raises NotApplicable where the encoder shows no attention among its tokens alone.
    """
    assert model.inside is not None
    network, blank = model.inside.network, model.inside.blank(settings.baseline)

    def by_token(batch: Batch, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        start = torch.where(batch.special, batch.ids, blank)
        with torch.no_grad():
            base = encoder_score(network, start, batch.mask, wanted)
            seen = network.encoder(input_ids=batch.ids, attention_mask=batch.mask, output_attentions=True)
            score = hidden_score(network, seen.last_hidden_state, batch.mask, wanted)
        flow = rolled(checked(getattr(seen, "attentions", None), batch.ids.shape[1]), batch.mask, network.pooling)
        return flow * (score - base)[:, None], base, score

    return by_words(model, texts, directions, by_token, ROWS)


def checked(attentions: tuple[torch.Tensor, ...] | None, length: int) -> list[torch.Tensor]:
    """The attentions of all layers, each (rows, heads, tokens, tokens)."""
    if not attentions or any(one is None for one in attentions):
        raise NotApplicable("the encoder gives no attentions")
    if any(one.ndim != 4 or one.shape[-2:] != (length, length) for one in attentions):
        raise NotApplicable("the encoder also attends to what is no token of the text, such as a prefix")
    return list(attentions)


def rolled(attentions: list[torch.Tensor], mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """The part of each token in the text's vector, (rows, tokens); rows sum to 1.

    Heads are averaged, and half of each layer's output is its input, handed on by the residual connection.
    """
    flow = torch.eye(mask.shape[1]).expand(len(mask), -1, -1)
    for layer in attentions:
        flow = (layer.mean(1) + torch.eye(mask.shape[1])) / 2 @ flow
    if pooling == "cls":
        return flow[:, 0] * mask
    weight = mask.unsqueeze(-1).float()
    return (flow * weight).sum(1) / weight.sum(1) * mask
