"""The check of a bundle's ONNX model against torch, in every runtime and precision in which this machine can serve it.

The encoder was run by torch when its graph was exported; its vectors are kept beside the graph. Behind them, the heads
are computed by numpy.
"""

from pathlib import Path

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.stage import Metrics
from pipeline.models.encoder_graph import EncoderGraph, possible_choices
from pipeline.models.heads import Heads, head_logits
from pipeline.models.onnx_file import LOGITS
from pipeline.models.onnx_model import open_model

# In bfloat16, of the largest logit: 8 bits of a number are kept. Found with all-MiniLM-L6-v2: 0.006.
BFLOAT16_TOLERANCE = 0.05


def check_model_against_torch(model: Path, graph: EncoderGraph, heads: Heads, tolerance: float) -> Metrics:
    """Compare the logits of the ONNX file ``model`` with torch's on padded batches of up to the maximum length.

    ``model`` is made of ``graph`` and ``heads``. Raises UserError when any logit differs by more than ``tolerance`` in
    float32, or by more than 5% of the largest one in bfloat16.
    """
    batches, vectors = zip(*graph.reference(), strict=True)
    expected = [head_logits(heads, part, batch) for part, batch in zip(vectors, batches, strict=True)]
    largest = max(float(np.abs(logits).max()) for logits in expected)
    metrics: Metrics = {"onnx_batches": len(batches)}
    for choice in possible_choices():
        outputs = open_model(model, choice, LOGITS).run(batches)
        worst = max(float(np.abs(ours - logits).max()) for ours, logits in zip(outputs, expected, strict=True))
        exact = choice.precision == "float32"
        limit = tolerance if exact else BFLOAT16_TOLERANCE * largest
        if not worst <= limit:  # a NaN is no agreement either
            advice = "raise the tolerance if such a difference is harmless" if exact else "serve float32"
            raise UserError(
                f"export.tolerance: expected ONNX logits within {limit:g} of torch's, found {worst:.2g} by {choice}; "
                f"choose an encoder of another architecture, or {advice}"
            )
        name = "onnx_max_difference" if exact else "bfloat16_max_difference"
        metrics[name] = max(worst, metrics.get(name, 0.0))
    return metrics
