"""Unsupervised SimCSE (Gao et al. 2021) as a torch module: two views of a text under dropout should be alike."""

from typing import Any

import torch

from pipeline.models import encoder as encoders


class SimCSE(torch.nn.Module):
    """The contrastive loss of picking each text's second view among those of the whole batch, by cosine similarity.

    In an evaluation there is no dropout and both views are the same. The loss then says how far apart the texts of the
    batch lie.
    """

    def __init__(self, encoder: Any, pooling: str, temperature: float) -> None:
        super().__init__()
        self.encoder, self.pooling, self.temperature = encoder, pooling, temperature

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        return_loss: bool = True,  # shows the Trainer that there is a loss though no input is a label
    ) -> dict[str, torch.Tensor]:
        """``loss``, a scalar float, of a batch: ``input_ids`` and ``attention_mask`` are (rows, tokens), int64."""
        mask = attention_mask.repeat(2, 1)
        hidden = self.encoder(input_ids=input_ids.repeat(2, 1), attention_mask=mask).last_hidden_state
        first, second = encoders.pool(hidden.float(), mask, self.pooling).chunk(2)
        similarity = first @ second.T / self.temperature
        return {"loss": torch.nn.functional.cross_entropy(similarity, torch.arange(len(first), device=hidden.device))}
