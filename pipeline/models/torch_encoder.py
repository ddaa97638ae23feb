"""An encoder that torch computes: on a GPU, or where OpenVINO is not installed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pipeline.models import encoder as encoders
from pipeline.models.runtime import Batch
from pipeline.models.vector_runtime import has_gpu


class TorchEncoder:
    """The encoder in a folder, pooled, on the GPU if there is one."""

    name = "torch"

    def __init__(self, folder: Path, pooling: str, precision: str) -> None:
        """Load the encoder in ``precision``, float32 or bfloat16; ``pooling`` is as in params.yaml."""
        import torch

        self.precision, self.pooling = precision, pooling
        self.device = "cuda" if has_gpu() else "cpu"
        self.model, self.tokenizer = encoders.load(folder, dtype=getattr(torch, precision))
        self.model.to(self.device).eval()

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The unit vectors of the texts of each batch, (rows, width), float32."""
        import torch

        for batch in batches:
            ids, mask = (torch.from_numpy(part).to(self.device) for part in batch)
            with torch.inference_mode():
                hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
                vectors: np.ndarray = encoders.pool(hidden.float(), mask, self.pooling).cpu().numpy()
            yield vectors
