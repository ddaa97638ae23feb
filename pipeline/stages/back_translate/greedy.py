"""Greedy decoding of a Marian model: the tokens of Transformers' `generate` with one beam, several times faster.

For models of this size most of the time of `generate` is what surrounds a step, not its arithmetic. Here a step is the
arithmetic alone: keys and values of earlier tokens and of the source are kept (Vaswani et al. 2017, section 3.2), the
three projections of self-attention are one product, and rows that have ended leave the batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention

# Settings of a model's generation_config that change what greedy decoding gives, and their value that changes nothing.
NEUTRAL = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_bos_token_id": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
    "exponential_decay_length_penalty": None,
    "guidance_scale": 1.0,
}
SHARE_THAT_STAYS = 0.75  # of the rows; once fewer are unfinished, the others leave the batch, which copies the caches


@dataclass
class Rows:
    """The rows that are still in the batch, and the caches of each layer."""

    places: torch.Tensor  # in the batch as it began, (rows,), int64
    tokens: torch.Tensor  # the last one of each row, (rows,), int64
    ended: torch.Tensor  # whether a row has its last token, (rows,), bool
    own: list[torch.Tensor]  # of each layer keys and values of earlier tokens, (2, rows, heads, steps, width)
    source: list[torch.Tensor]  # of each layer keys and values of the source, (2, rows, heads, source tokens, width)
    mask: torch.Tensor  # (rows, 1, 1, source tokens), bool

    def keep(self, kept: torch.Tensor) -> None:
        """Let go of the rows that are not ``kept``, (rows,), bool."""
        self.places, self.tokens, self.ended = self.places[kept], self.tokens[kept], self.ended[kept]
        self.mask = self.mask[kept]
        self.own = [cache[:, kept] for cache in self.own]
        self.source = [cache[:, kept] for cache in self.source]


def unsupported_settings(model: Any) -> list[str]:
    """The settings of the model's generation_config that `decode` does not follow and `generate` does."""
    config = model.generation_config
    found = [name for name, value in NEUTRAL.items() if getattr(config, name, None) not in (None, value)]
    longer = any(len(word) > 1 for word in config.bad_words_ids or [])
    return [*found, *(["bad_words_ids"] if longer else [])]


@torch.inference_mode()
def decode(model: Any, ids: torch.Tensor, mask: torch.Tensor, max_new_tokens: int) -> torch.Tensor:
    """The translation of each row as tokens, (rows, up to ``max_new_tokens``), int64, padded behind its end.

    ``ids`` and ``mask`` are (rows, source tokens), int64. It gives what `generate` with one beam gives, for a model
    without `unsupported_settings`.
    """
    config = model.generation_config
    ends = torch.tensor(as_list(config.eos_token_id), device=ids.device)
    banned = [word[0] for word in config.bad_words_ids or []]
    result = torch.full((len(ids), max_new_tokens), config.pad_token_id, device=ids.device)
    decoder = model.get_decoder()
    rows = start(model, ids, mask, max_new_tokens)
    fused = [fuse(layer.self_attn) for layer in decoder.layers]
    for step in range(max_new_tokens):
        hidden = decoder.embed_tokens(rows.tokens) * decoder.embed_scale + decoder.embed_positions.weight[step]
        for number, layer in enumerate(decoder.layers):
            hidden = run_layer(layer, fused[number], hidden, rows, number, step)
        logits = linear(hidden, model.lm_head.weight) + model.final_logits_bias[0]
        logits[:, banned] = -torch.inf
        rows.tokens = logits.argmax(dim=1)
        if step == max_new_tokens - 1 and config.forced_eos_token_id is not None:
            rows.tokens = torch.full_like(rows.tokens, as_list(config.forced_eos_token_id)[0])
        result[rows.places, step] = torch.where(rows.ended, config.pad_token_id, rows.tokens)
        rows.ended |= torch.isin(rows.tokens, ends)
        if rows.ended.all():
            return result[:, : step + 1]
        if 1 - rows.ended.float().mean() < SHARE_THAT_STAYS:
            rows.keep(~rows.ended)
    return result


def start(model: Any, ids: torch.Tensor, mask: torch.Tensor, steps: int) -> Rows:
    """All rows before their first step, with the keys and values of the source.

    ``ids`` and ``mask`` are (rows, tokens), int64: the source, and 1 where it has a token.
    """
    hidden = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
    decoder, count = model.get_decoder(), len(ids)
    source, own = [], []
    for layer in decoder.layers:
        attention = layer.encoder_attn
        source.append(
            torch.stack([split(project(hidden), attention) for project in (attention.k_proj, attention.v_proj)])
        )
        shape = (2, count, layer.self_attn.num_heads, steps, layer.self_attn.head_dim)
        own.append(hidden.new_empty(shape))
    first = torch.full((count,), model.generation_config.decoder_start_token_id, device=ids.device)
    places = torch.arange(count, device=ids.device)
    return Rows(places, first, torch.zeros_like(places, dtype=torch.bool), own, source, mask.bool()[:, None, None, :])


def run_layer(
    layer: Any, fused: tuple[torch.Tensor, torch.Tensor], hidden: torch.Tensor, rows: Rows, number: int, step: int
) -> torch.Tensor:
    """One layer of the decoder for the token of a step, (rows, width), float32, as `MarianDecoderLayer` computes it.

    ``fused`` is what `fuse` made of the layer, and ``hidden`` (rows, width), float32, what the layer before gave.
    """
    attention, cache = layer.self_attn, rows.own[number]
    query, *key_and_value = (split(part[:, None], attention) for part in linear(hidden, *fused).chunk(3, dim=1))
    cache[:, :, :, step] = torch.stack(key_and_value)[:, :, :, 0]
    attended = scaled_dot_product_attention(query, *cache[:, :, :, : step + 1])
    hidden = normalise(hidden + attention.out_proj(attended.flatten(1)), layer.self_attn_layer_norm)
    attention = layer.encoder_attn
    query = split(attention.q_proj(hidden)[:, None], attention)
    key, value = rows.source[number]
    attended = scaled_dot_product_attention(query, key, value, attn_mask=rows.mask)
    hidden = normalise(hidden + attention.out_proj(attended.flatten(1)), layer.encoder_attn_layer_norm)
    return normalise(hidden + layer.fc2(layer.activation_fn(layer.fc1(hidden))), layer.final_layer_norm)


def fuse(attention: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (3 * width, width) and bias (3 * width,), float32, of a product that gives query, key and value."""
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    return torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])


def split(hidden: torch.Tensor, attention: Any) -> torch.Tensor:
    """The vectors ``hidden``, (rows, tokens, width), float32, by head: (rows, heads, tokens, width of a head)."""
    return hidden.view(*hidden.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)


def normalise(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    """The layer norm of the vectors ``hidden``, (rows, width), float32, of the same shape."""
    return layer_norm(hidden, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def as_list(tokens: int | list[int]) -> list[int]:
    """A token, or several, as a list."""
    return tokens if isinstance(tokens, list) else [tokens]
