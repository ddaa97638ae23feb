"""Adapters that stay beside a frozen encoder: a prefix in each attention, or bottlenecks behind each of its parts.

Neither can be merged into the encoder's weights. Both are therefore saved beside it, and installed again wherever it is
loaded. They are not peft's: peft 0.21 has no bottleneck adapters, and its prefix is the cache of a decoder. ModernBERT,
DistilBERT and others don't read that cache, and it shifts the positions of the text by the length of the prefix.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import UserError

KINDS = ("prefix", "bottleneck")
PREFIX_ATTENTION = "gleaner_prefix"  # the name under which transformers knows `attend`
# The last linear layer of attention and of the feed-forward part, as the encoders of transformers call it.
OUTPUT_LAYERS = re.compile(r"(^|\.)(output\.dense|attn\.o|out_lin|lin2|Wo|attention\.dense|ffn_output)$")


class Bottleneck(torch.nn.Module):
    """A bottleneck adapter: output + up(gelu(down(output))), at first the output itself (Houlsby et al. 2019)."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = torch.nn.Linear(wide, narrow), torch.nn.Linear(narrow, wide)
        torch.nn.init.zeros_(self.up.weight)
        torch.nn.init.zeros_(self.up.bias)

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """A layer's ``output`` (..., width), float, with the bottleneck's part added."""
        return output + self.up(torch.nn.functional.gelu(self.down(output)))


class Prefix(torch.nn.Module):
    """Keys and values, each (heads, tokens, size), float, that every token may attend to (Li and Liang 2021)."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = (torch.nn.Parameter(part.contiguous().clone()) for part in (keys, values))


def install(encoder: Any, kind: str, size: int) -> None:
    """Put adapters into the encoder: a prefix of ``size`` tokens, or bottlenecks ``size`` wide.

    Raises UserError when the encoder's architecture has no place for them.
    """
    if kind == "prefix":
        install_prefix(encoder, size)
    else:
        install_bottlenecks(encoder, size)
    if not list(adapter_weights(encoder)):
        raise UserError(
            f"finetune.method: expected an encoder that can take {kind} adapters, found {encoder.config.model_type}; "
            "use lora"
        )


def install_bottlenecks(encoder: Any, size: int) -> None:
    """Put a bottleneck behind each attention and each feed-forward part, before the residual connection.

    Unlike in the paper (Houlsby et al. 2019), the encoder's norms stay frozen, so that the encoder is saved unchanged.
    """
    for name, module in list(encoder.named_modules()):
        if OUTPUT_LAYERS.search(name) and isinstance(module, torch.nn.Linear):
            module.add_module("bottleneck", Bottleneck(module.out_features, size))
            module.register_forward_hook(lambda layer, inputs, output: layer.bottleneck(output))


def install_prefix(encoder: Any, size: int) -> None:
    """Put a prefix into each attention, initialised with the keys and values of drawn words.

    Real words are a far better start than noise (Li and Liang 2021, section 7.4). The encoder reads ``size`` drawn
    tokens once, and `attend` keeps their keys and values in every attention.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(PREFIX_ATTENTION, attend)
    AttentionMaskInterface.register(PREFIX_ATTENTION, eager_mask)
    encoder.config._attn_implementation = PREFIX_ATTENTION
    vocabulary, _ = encoder.get_input_embeddings().weight.shape
    ids = torch.randint(vocabulary, (1, size))
    training = encoder.training
    with torch.no_grad():
        encoder.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
    encoder.train(training)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention as the interface of transformers wants it, over the module's prefix and the text.

    ``query``, ``key`` and ``value`` are (rows, heads, tokens, size), float; ``attention_mask``
    (rows, 1, tokens, tokens), float, is added to the scores. Returns the attended values (rows, tokens, heads, size)
    and each token's shares of attention (rows, heads, tokens, prefix and tokens), 0 to 1. A module without a prefix
    makes one of the first row's keys and values.
    """
    if not hasattr(module, "prefix"):
        module.prefix = Prefix(key[0], value[0])
    else:
        rows = len(key)
        key = torch.cat([module.prefix.keys.expand(rows, -1, -1, -1).to(key.dtype), key], dim=2)
        value = torch.cat([module.prefix.values.expand(rows, -1, -1, -1).to(value.dtype), value], dim=2)
        if attention_mask is not None:
            attention_mask = torch.nn.functional.pad(attention_mask, (module.prefix.keys.shape[1], 0))
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores + attention_mask
    shares = torch.nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    shares = torch.nn.functional.dropout(shares, p=dropout, training=module.training)
    return (shares @ value).transpose(1, 2).contiguous(), shares


def adapter_weights(encoder: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The adapters' weights by their name in the encoder."""
    for name, module in encoder.named_modules():
        if isinstance(module, Bottleneck | Prefix):
            yield from module.named_parameters(prefix=name)


def save(encoder: Any, folder: Path, file: Path) -> None:
    """Write the encoder to ``folder`` without its adapters, and the adapters, if there are any, to ``file``."""
    weights = {name: weight.detach().cpu() for name, weight in adapter_weights(encoder)}
    if not weights:
        encoder.save_pretrained(folder)
        return
    plain = {name: value for name, value in encoder.state_dict().items() if name not in weights}
    encoder.save_pretrained(folder, state_dict=plain)
    save_file(weights, file)


def load(encoder: Any, kind: str, size: int, file: Path) -> None:
    """Install adapters with the weights that `save` wrote to ``file``.

    Raises UserError if the file holds other weights than these adapters have.
    """
    install(encoder, kind, size)
    saved, weights = load_file(file), dict(adapter_weights(encoder))
    if saved.keys() != weights.keys():
        raise UserError(f"{file}: expected the weights of {kind} adapters, found others; run `dvc repro`")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name])
