"""The objective of a student: the classifier's loss, and the losses that params add to it.

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
from pipeline.stages.finetune.mlm_head import MaskedLanguageHead
from pipeline.stages.finetune.penalty import Penalty
from pipeline.training.batches import Batch, pad
from pipeline.training.mlm_masking import mask_batch, word_indices
from pipeline.training.supervised import BatchInputs, Extras


class Objective(torch.nn.Module):
    """A module around the network that returns the whole loss in training, and the network's loss in an evaluation.

    With ``joint_weight`` λ and a masked-language loss L_pre, the whole loss is L_pre + λ·L_fin, where L_fin is the
    classifier's loss, its adversarial part included. The penalty on differences between groups is part of L_fin.
    """

    def __init__(self, net: Network, params: Finetune, penalty: float) -> None:
        super().__init__()
        self.penalty = penalty
        self.net, self.radius, self.joint_weight = net, params.adversarial, params.joint_weight or 0.0
        self.mlm_head = None if params.joint_weight is None else MaskedLanguageHead(net.encoder)
        self.is_adalora = params.method == "adalora"

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        groups: torch.Tensor | None = None,
        **hidden: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """``logits`` (rows, classes), float32, and ``loss``, a scalar, as those of `Network.forward`.

        ``input_ids`` and ``attention_mask`` are (rows, tokens), int64; ``targets`` (rows, classes) and ``weights``
        (rows,) are float32. The penalty alone uses ``groups`` (rows, attributes), int64, -1 where a group is unknown.
        A joint training alone has ``hidden``, the inputs that `make_masker` makes of the same texts.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "targets": targets, "weights": weights}
        if not self.training:
            return self.net(**inputs)
        outputs = adversarial.adversarial_outputs(self.net, inputs, self.radius) if self.radius else self.net(**inputs)
        loss = outputs["loss"]
        if self.penalty and groups is not None:
            distance = group_loss_penalty.group_loss_distance(outputs["logits"], targets, weights, groups)
            loss = loss + self.penalty * distance
        if self.mlm_head is not None:
            loss = self.mlm_head.loss(self.net.encoder, attention_mask, **hidden) + self.joint_weight * loss
        if self.is_adalora:
            loss = loss + low_rank.ORTHOGONALITY_WEIGHT * low_rank.orthogonality(self.net.encoder)
        return outputs | {"loss": loss}


def make_extras(
    net: Network, tokenizer: Any, params: Finetune, targets: np.ndarray | None, penalty: Penalty | None
) -> Extras:
    """What supervised.fit needs for these params beside the network.

    ``targets`` (training rows, classes), float32, 0 to 1, are probabilities to learn instead of labels. Where params
    add nothing to it, the network's loss is the whole loss.
    """
    plain = not params.adversarial and params.joint_weight is None and params.method != "adalora" and penalty is None
    model = net if plain else Objective(net, params, penalty.weight if penalty else 0.0)
    mlm_head = None if isinstance(model, Network) else model.mlm_head
    return Extras(
        model=model,
        heads=[net.head] if mlm_head is None else [net.head, mlm_head],
        extra_inputs=make_extra_inputs(make_masker(tokenizer, params) if mlm_head is not None else None, penalty),
        callbacks=[low_rank.RankAllocation(net.encoder)] if params.method == "adalora" else [],
        soft_targets=targets,
    )


def make_extra_inputs(
    masker: Callable[[Any], BatchInputs] | None, penalty: Penalty | None
) -> Callable[[Any], BatchInputs] | None:
    """The function from the tokenised rows to the inputs that a batch has beside texts and targets; None for none.

    Rows beyond the training rows are those of an evaluation, which has no penalty.
    """
    if penalty is None:
        return masker
    codes = torch.from_numpy(penalty.groups.astype(np.int64))

    def prepare(encoded: Any) -> BatchInputs:
        mask = masker(encoded) if masker else None

        def collate(batch: Batch) -> dict[str, Any]:
            rows = [row for _, row in batch]
            groups = codes[rows] if max(rows) < len(codes) else torch.full((len(rows), codes.shape[1]), -1)
            return (mask(batch) if mask else {}) | {"groups": groups}

        return collate

    return prepare


def make_masker(tokenizer: Any, params: Finetune) -> Callable[[Any], BatchInputs]:
    """The function from the tokenised rows to one that hides words of a batch.

    Raises UserError when the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise UserError("finetune.joint_weight: expected a tokenizer with a mask token, found none; set it to null")

    def prepare(encoded: Any) -> BatchInputs:
        rows = encoded["input_ids"]
        words = word_indices(encoded, tokenizer)

        def collate(batch: Batch) -> dict[str, Any]:
            masked, targets = mask_batch(batch, rows, words, tokenizer, params.mask_probability, params.seed)
            return {"hidden_ids": pad(masked, tokenizer.pad_token_id or 0), "hidden_targets": targets}

        return collate

    return prepare
