"""Adapters that stay beside a frozen encoder: a prefix in each attention, or bottlenecks behind each of its parts.

Neither can be merged into the encoder's weights, so both are saved beside it, and installed again wherever it is
loaded. They are our own: peft 0.21 has no bottleneck adapters, and its prefix is a decoder's cache, which ModernBERT,
DistilBERT and others don't read, and which moves the text's positions along by the length of the prefix.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import UserError

KINDS = ("prefix", "bottleneck")
ATTENTION = "gleaner_prefix"  # the name under which transformers knows our attention
# The last linear layer of attention and of the feed-forward part, as the encoders of transformers call it.
OUTPUTS = re.compile(r"(^|\.)(output\.dense|attn\.o|out_lin|lin2|Wo|attention\.dense|ffn_output)$")


class Bottleneck(torch.nn.Module):
    """What is added to a layer's output: up(gelu(down(output))), at first zero (Houlsby et al. 2019)."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = torch.nn.Linear(wide, narrow), torch.nn.Linear(narrow, wide)
        torch.nn.init.zeros_(self.up.weight)
        torch.nn.init.zeros_(self.up.bias)

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """Output (..., width) with the bottleneck's part added."""
        return output + self.up(torch.nn.functional.gelu(self.down(output)))


class Prefix(torch.nn.Module):
    """Keys and values, (heads, tokens, size) each, that every token may attend to (Li and Liang 2021)."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = (torch.nn.Parameter(one.contiguous().clone()) for one in (keys, values))


def install(encoder: Any, kind: str, size: int) -> None:
    """Put adapters into the encoder: a prefix of ``size`` tokens, or bottlenecks ``size`` wide.

    Raises UserError when the encoder's architecture has no place for them.
    """
    if kind == "prefix":
        install_prefix(encoder, size)
    else:
        install_bottlenecks(encoder, size)
    if not list(installed(encoder)):
        raise UserError(
            f"finetune.method: expected an encoder that can take {kind} adapters, found {encoder.config.model_type}; "
            "use lora"
        )


def install_bottlenecks(encoder: Any, size: int) -> None:
    """One behind each attention and each feed-forward part, before what they add to is added.

    Unlike the paper's, the encoder's norms stay frozen, so that the encoder is saved as it came.
    """
    for name, module in list(encoder.named_modules()):
        if OUTPUTS.search(name) and isinstance(module, torch.nn.Linear):
            module.add_module("bottleneck", Bottleneck(module.out_features, size))
            module.register_forward_hook(lambda layer, given, output: layer.bottleneck(output))


def install_prefix(encoder: Any, size: int) -> None:
    """One in each attention, which starts as the keys and values of drawn words: far better than noise (paper, 7.4).

    The encoder reads ``size`` drawn tokens once, and every attention keeps what it sees (`attend`).
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, eager_mask)
    encoder.config._attn_implementation = ATTENTION
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
    """Attention of transformers' interface, over the module's prefix and the text.

    ``query``, ``key`` and ``value`` are (rows, heads, tokens, size); the mask is added to the scores. A module without
    a prefix takes the first row's keys and values for one.
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


def installed(encoder: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The adapters' weights by their name in the encoder."""
    for name, module in encoder.named_modules():
        if isinstance(module, Bottleneck | Prefix):
            yield from module.named_parameters(prefix=name)


def save(encoder: Any, folder: Path, file: Path) -> None:
    """Write the encoder to ``folder`` as it would be without adapters, and these to ``file`` if there are any."""
    weights = {name: weight.detach().cpu() for name, weight in installed(encoder)}
    if not weights:
        encoder.save_pretrained(folder)
        return
    plain = {name: value for name, value in encoder.state_dict().items() if name not in weights}
    encoder.save_pretrained(folder, state_dict=plain)
    save_file(weights, file)


def load(encoder: Any, kind: str, size: int, file: Path) -> None:
    """Install adapters with the weights that ``save`` wrote to ``file``."""
    install(encoder, kind, size)
    found, places = load_file(file), dict(installed(encoder))
    if found.keys() != places.keys():
        raise UserError(f"{file}: expected the weights of {kind} adapters, found others; run `dvc repro`")
    with torch.no_grad():
        for name, weight in places.items():
            weight.copy_(found[name])
