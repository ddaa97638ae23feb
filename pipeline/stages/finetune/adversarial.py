"""Adversarial training: the loss counts a second time, on word vectors that are changed so that it rises fastest.

This is the fast gradient method on word embeddings (Miyato et al. 2017, "Adversarial training methods for
semi-supervised text classification"). The loss on the changed vectors is added to the plain one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pipeline.models.network import Network

TINY = torch.finfo(torch.float32).tiny  # keeps a text without any gradient from being divided by 0


def adversarial_outputs(net: "Network", inputs: dict[str, torch.Tensor], radius: float) -> dict[str, torch.Tensor]:
    """The network's outputs for ``inputs``, with the loss on the plain vectors plus that on the perturbed ones.

    ``inputs`` are those of `Network.forward`: token ids and mask (rows, tokens), int64, targets and weights, float32.
    A text's perturbation, over all of its word vectors (tokens, width), has the L2 length ``radius`` and the direction
    of the gradient (Miyato et al. 2017).
    """
    word_vectors: list[torch.Tensor] = []

    def keep(vectors: torch.Tensor) -> torch.Tensor:
        # Frozen embeddings have no gradient: their vectors are made to have one.
        word_vectors.append(vectors if vectors.requires_grad else vectors.detach().requires_grad_())
        return word_vectors[-1]

    with change_word_vectors(net.encoder, keep):
        plain = net(**inputs)
    (gradient,) = torch.autograd.grad(plain["loss"], word_vectors[0], retain_graph=True)
    length = gradient.flatten(1).norm(dim=1).clamp(min=TINY)
    perturbation = radius * gradient / length[:, None, None]
    with change_word_vectors(net.encoder, lambda vectors: vectors + perturbation):
        perturbed = net(**inputs)
    return plain | {"loss": plain["loss"] + perturbed["loss"]}


@contextmanager
def change_word_vectors(encoder: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """While the block runs, ``change`` replaces the word vectors that the encoder looks up.

    It takes and returns a tensor (rows, tokens, width), float.
    """
    hook = encoder.get_input_embeddings().register_forward_hook(lambda module, inputs, vectors: change(vectors))
    try:
        yield
    finally:
        hook.remove()
