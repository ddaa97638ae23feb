"""What a student minimises: the classifier's loss, and what params add to it.

Imports torch and transformers, so it is imported late.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline.core.errors import UserError
from pipeline.core.params import Finetune
from pipeline.models.network import Network
from pipeline.stages.finetune import adversarial, group_loss_penalty, low_rank
from pipeline.stages.finetune.mlm_head import MaskedLanguage
from pipeline.stages.finetune.penalty import Penalty
from pipeline.training import mlm_masking, trainer
from pipeline.training.supervised import Extras
from pipeline.training.trainer import Batch


class Objective(torch.nn.Module):
    """Around the network: its own loss in an evaluation, the whole one in training.

    With ``joint_weight`` λ and a masked-language loss L_pre, the whole loss is L_pre + λ·L_fin, where L_fin is the
    classifier's loss, its adversarial part included. With a penalty, what groups' losses differ by is added to L_fin.
    """

    def __init__(self, net: Network, params: Finetune, penalty: float) -> None:
        super().__init__()
        self.penalty = penalty
        self.net, self.radius, self.weight = net, params.adversarial, params.joint_weight or 0.0
        self.masked = None if params.joint_weight is None else MaskedLanguage(net.encoder)
        self.spreads = params.method == "adalora"

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        groups: torch.Tensor | None = None,
        **hidden: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """As Network's; ``groups`` (rows, attributes) are for the penalty alone, -1 where a group is unknown.

        ``hidden`` is what a joint training needs of the same texts, masked (`masker`).
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "targets": targets, "weights": weights}
        if not self.training:
            return self.net(**inputs)
        found = adversarial.both(self.net, inputs, self.radius) if self.radius else self.net(**inputs)
        loss = found["loss"]
        if self.penalty and groups is not None:
            loss = loss + self.penalty * group_loss_penalty.losses(found["logits"], targets, weights, groups)
        if self.masked is not None:
            loss = self.masked.loss(self.net.encoder, attention_mask, **hidden) + self.weight * loss
        if self.spreads:
            loss = loss + low_rank.ORTHOGONALITY * low_rank.orthogonality(self.net.encoder)
        return found | {"loss": loss}


def extras(
    net: Network, tokenizer: Any, params: Finetune, targets: np.ndarray | None, penalty: Penalty | None
) -> Extras:
    """What supervised.fit needs beside the network, for these params; its own loss where they add nothing."""
    plain = not params.adversarial and params.joint_weight is None and params.method != "adalora" and penalty is None
    model = net if plain else Objective(net, params, penalty.weight if penalty else 0.0)
    masked = None if isinstance(model, Network) else model.masked
    return Extras(
        model=model,
        heads=[net.head] if masked is None else [net.head, masked],
        inputs=further(masker(tokenizer, params) if masked is not None else None, penalty),
        callbacks=[low_rank.Allocate(net.encoder)] if params.method == "adalora" else [],
        targets=targets,
    )


Maker = Callable[[Batch], dict[str, Any]]  # further inputs of the model for a batch


def further(masked: Callable[[Any], Maker] | None, penalty: Penalty | None) -> Callable[[Any], Maker] | None:
    """From the tokenised rows to what a batch has beside texts and targets; None where it is nothing.

    Rows beyond the training rows are those of an evaluation, which has no penalty.
    """
    if penalty is None:
        return masked
    known = torch.from_numpy(penalty.groups.astype(np.int64))

    def prepare(encoded: Any) -> Maker:
        hide = masked(encoded) if masked else None

        def collate(batch: Batch) -> dict[str, Any]:
            rows = [row for _, row in batch]
            groups = known[rows] if max(rows) < len(known) else torch.full((len(rows), known.shape[1]), -1)
            return (hide(batch) if hide else {}) | {"groups": groups}

        return collate

    return prepare


def masker(tokenizer: Any, params: Finetune) -> Callable[[Any], Maker]:
    """From the tokenised rows to the function that hides words of a batch.

    Raises UserError when the tokenizer has nothing to hide them with.
    """
    if tokenizer.mask_token_id is None:
        raise UserError("finetune.joint_weight: expected a tokenizer with a mask token, found none; set it to null")

    def prepare(encoded: Any) -> Maker:
        rows = encoded["input_ids"]
        words = mlm_masking.word_numbers(encoded, tokenizer)

        def collate(batch: Batch) -> dict[str, Any]:
            hidden, wanted = mlm_masking.hide(batch, rows, words, tokenizer, params.mask_probability, params.seed)
            return {"hidden_ids": trainer.pad(hidden, tokenizer.pad_token_id or 0), "hidden_targets": wanted}

        return collate

    return prepare
