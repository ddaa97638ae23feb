"""Unsupervised SimCSE (Gao et al. 2021) as a torch module: a text seen twice under dropout should find itself."""

from typing import Any

import torch

from pipeline.models import encoder as encoders


class Contrast(torch.nn.Module):
    """Loss of picking each text's second view among the second views of the whole batch, by cosine similarity.

    Without dropout both views are one, and the loss says how far the batch's texts lie apart: that is what an
    evaluation measures.
    """

    def __init__(self, encoder: Any, pooling: str, temperature: float) -> None:
        super().__init__()
        self.encoder, self.pooling, self.temperature = encoder, pooling, temperature

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        return_loss: bool = True,  # tells the Trainer that there is a loss though no input is a label
    ) -> dict[str, torch.Tensor]:
        """The batch's loss, from token ids and mask (rows, tokens)."""
        mask = attention_mask.repeat(2, 1)
        hidden = self.encoder(input_ids=input_ids.repeat(2, 1), attention_mask=mask).last_hidden_state
        first, second = encoders.pool(hidden.float(), mask, self.pooling).chunk(2)
        similarity = first @ second.T / self.temperature
        return {"loss": torch.nn.functional.cross_entropy(similarity, torch.arange(len(first), device=hidden.device))}
