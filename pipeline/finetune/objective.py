"""What a student minimises: the classifier's loss, and what params add to it.

Imports torch and transformers, so it is imported late.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline import masking, trainer
from pipeline.errors import UserError
from pipeline.finetune import adversarial, low_rank
from pipeline.finetune.joint import MaskedLanguage
from pipeline.network import Network
from pipeline.params import Finetune
from pipeline.supervised import Extras
from pipeline.trainer import Batch


class Objective(torch.nn.Module):
    """Around the network: its own loss in an evaluation, the whole one in training.

    With ``joint_weight`` λ and a masked-language loss L_pre, the whole loss is L_pre + λ·L_fin, where L_fin is the
    classifier's loss, its adversarial part included.
    """

    def __init__(self, net: Network, params: Finetune) -> None:
        super().__init__()
        self.net, self.radius, self.weight = net, params.adversarial, params.joint_weight or 0.0
        self.masked = None if params.joint_weight is None else MaskedLanguage(net.encoder)
        self.spreads = params.method == "adalora"

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        **hidden: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """As Network's; ``hidden`` is what a joint training needs of the same texts, masked (`masker`)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "targets": targets, "weights": weights}
        if not self.training:
            return self.net(**inputs)
        found = adversarial.both(self.net, inputs, self.radius) if self.radius else self.net(**inputs)
        loss = found["loss"]
        if self.masked is not None:
            loss = self.masked.loss(self.net.encoder, attention_mask, **hidden) + self.weight * loss
        if self.spreads:
            loss = loss + low_rank.ORTHOGONALITY * low_rank.orthogonality(self.net.encoder)
        return found | {"loss": loss}


def extras(net: Network, tokenizer: Any, params: Finetune, targets: np.ndarray | None) -> Extras:
    """What supervised.fit needs beside the network, for these params; its own loss where they add nothing."""
    plain = not params.adversarial and params.joint_weight is None and params.method != "adalora"
    model = net if plain else Objective(net, params)
    masked = None if isinstance(model, Network) else model.masked
    return Extras(
        model=model,
        heads=[net.head] if masked is None else [net.head, masked],
        inputs=None if masked is None else masker(tokenizer, params),
        callbacks=[low_rank.Allocate(net.encoder)] if params.method == "adalora" else [],
        targets=targets,
    )


def masker(tokenizer: Any, params: Finetune) -> Callable[[Any], Callable[[Batch], dict[str, Any]]]:
    """From the tokenised rows to the function that hides words of a batch.

    Raises UserError when the tokenizer has nothing to hide them with.
    """
    if tokenizer.mask_token_id is None:
        raise UserError("finetune.joint_weight: expected a tokenizer with a mask token, found none; set it to null")

    def prepare(encoded: Any) -> Callable[[Batch], dict[str, Any]]:
        rows = encoded["input_ids"]
        words = [encoded.word_ids(row) for row in range(len(rows))]

        def collate(batch: Batch) -> dict[str, Any]:
            hidden, wanted = masking.hide(batch, rows, words, tokenizer, params.mask_probability, params.seed)
            return {"hidden_ids": trainer.pad(hidden, tokenizer.pad_token_id or 0), "hidden_targets": wanted}

        return collate

    return prepare
