"""Adversarial training: the loss also where the word vectors are pushed the way that it rises fastest.

The fast gradient method on word embeddings (Miyato et al. 2017, "Adversarial training methods for semi-supervised text
classification"), with the loss on the pushed vectors added to the plain one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pipeline.models.network import Network

TINY = torch.finfo(torch.float32).tiny  # a text without any gradient is left where it is, not divided by 0


def both(net: "Network", inputs: dict[str, torch.Tensor], radius: float) -> dict[str, torch.Tensor]:
    """The network's outputs for ``inputs``, and as their loss that of the clean vectors plus that of the pushed ones.

    Each text's push, over all of its word vectors (tokens, width), has the L2 length ``radius``.
    """
    seen: list[torch.Tensor] = []

    def keep(vectors: torch.Tensor) -> torch.Tensor:
        # Frozen embeddings have no gradient of their own: their vectors are made to have one.
        seen.append(vectors if vectors.requires_grad else vectors.detach().requires_grad_())
        return seen[-1]

    with embedded(net.encoder, keep):
        clean = net(**inputs)
    (gradient,) = torch.autograd.grad(clean["loss"], seen[0], retain_graph=True)
    length = gradient.flatten(1).norm(dim=1).clamp(min=TINY)
    push = radius * gradient / length[:, None, None]
    with embedded(net.encoder, lambda vectors: vectors + push):
        pushed = net(**inputs)
    return clean | {"loss": clean["loss"] + pushed["loss"]}


@contextmanager
def embedded(encoder: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """While the block runs, the word vectors (rows, tokens, width) that the encoder looks up pass ``change``."""
    hook = encoder.get_input_embeddings().register_forward_hook(lambda module, given, vectors: change(vectors))
    try:
        yield
    finally:
        hook.remove()
