"""The masked-language head of a joint training; it learns beside the classifier and is not part of the model."""

from typing import Any

import torch

from pipeline.training.mlm_masking import IGNORED


class MaskedLanguageHead(torch.nn.Module):
    """Scores of the vocabulary for hidden tokens: a transform, the word embeddings, and a bias.

    That is BERT's head (Devlin et al. 2019). The head does not hold the embeddings that it is tied to: they stay the
    encoder's, so that a checkpoint has them once.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        vocabulary, width = encoder.get_input_embeddings().weight.shape
        self.transform = torch.nn.Sequential(
            torch.nn.Linear(encoder.config.hidden_size, width), torch.nn.GELU(), torch.nn.LayerNorm(width)
        )
        self.bias = torch.nn.Parameter(torch.zeros(vocabulary))

    def loss(
        self, encoder: Any, attention_mask: torch.Tensor, hidden_ids: torch.Tensor, hidden_targets: torch.Tensor
    ) -> torch.Tensor:
        """Mean cross-entropy over the hidden tokens, a scalar float; 0 where no token is hidden.

        ``attention_mask``, ``hidden_ids`` and ``hidden_targets`` are (rows, tokens), int64. The latter two are those of
        `mlm_masking.mask_batch`: the targets are IGNORED where nothing is hidden.
        """
        states = encoder(input_ids=hidden_ids, attention_mask=attention_mask).last_hidden_state
        hidden = hidden_targets != IGNORED
        embeddings = encoder.get_input_embeddings().weight
        scores = torch.nn.functional.linear(self.transform(states[hidden]), embeddings, self.bias).float()
        # A batch without any word has nothing to predict: a plain mean over no token would be NaN.
        return torch.nn.functional.cross_entropy(scores, hidden_targets[hidden], reduction="sum") / max(1, len(scores))
