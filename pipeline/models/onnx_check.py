"""The check of a bundle's ONNX model against torch: both have to give the same logits for the same texts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.stage import Metrics
from pipeline.models.classifier import Classifier

if TYPE_CHECKING:
    from pipeline.models.network import Network

BATCH_SIZES = (1, 2, 7, 32)  # 1 has no padding, 2 the most, 7 is no power of two, 32 is what is served


def check_onnx_against_torch(
    net: "Network", tokenizer: Any, onnx: Classifier, texts: list[str], tolerance: float
) -> Metrics:
    """Compare the logits of ONNX, its tokenizer included, with torch's on padded batches of real texts.

    Each batch runs from the shortest text to the longest, so that padding matters, and one text fills the maximum
    length. Raises UserError when any logit differs by more than ``tolerance``.
    """
    import torch

    ordered = [*sorted(texts, key=len), " ".join(texts)[: 20 * onnx.max_length]]
    options: dict[str, Any] = {"truncation": True, "max_length": onnx.max_length}
    options |= {"padding": True, "padding_side": "right", "return_tensors": "pt"}
    worst = 0.0
    for rows in BATCH_SIZES:
        batch = [ordered[i] for i in np.linspace(0, len(ordered) - 1, rows).astype(int)]
        inputs = tokenizer(batch, **options)
        with torch.inference_mode():
            expected = net(inputs["input_ids"], inputs["attention_mask"])["logits"].numpy()
        (actual,) = onnx.runtime.run([onnx.pad(onnx.tokenise(batch))])
        worst = max(worst, float(np.abs(expected - actual).max()))
    if not worst <= tolerance:  # a NaN is no agreement either
        raise UserError(
            f"export.tolerance: expected ONNX logits within {tolerance:g} of torch's, found {worst:.2g}; "
            "choose an encoder of another architecture, or raise the tolerance if such a difference is harmless"
        )
    return {"onnx_max_difference": worst, "onnx_batches": len(BATCH_SIZES)}
