"""The bundle's ONNX models: float32 from the network, and int8 from that."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.models.onnx_file import OUTPUT, VECTORS

if TYPE_CHECKING:
    from pipeline.models.network import Network


def export_onnx(net: "Network", path: Path) -> None:
    """Write the network as float32 ONNX with free batch size and length, and nothing of this machine in it.

    The model gives the logits of the texts and the unit vectors that they come from. torch's older exporter
    (dynamo=False) gives a silently wrong model for BERT under transformers 5.
    """
    import onnx
    import torch

    from pipeline.models.network import WithVectors

    axes = {0: "batch", 1: "length"}
    ids = torch.ones((2, 8), dtype=torch.int64)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # about the names of shared axes, and torch's deprecations
        program = torch.onnx.export(
            WithVectors(net),
            kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            input_names=["input_ids", "attention_mask"],
            output_names=[OUTPUT, VECTORS],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]  # None only where a file name was given
    # Each node quotes the source lines and absolute paths that it was traced from. With them, the same weights would
    # give another digest in another checkout.
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def quantise_to_int8(source: Path, target: Path) -> None:
    """Write dynamic int8: weights are stored with a scale for each channel, activations are scaled batch by batch.

    A scale for each channel costs nothing and halves the predictions that change (banking77: 1.6% against 3.3%).
    Weights of seven bits (``reduce_range``) cannot overflow on CPUs without VNNI, where eight bits silently would. The
    metrics of this stage therefore hold wherever the bundle is served.
    """
    from onnxruntime.quantization import quantize_dynamic

    root_logger = logging.getLogger()
    level = root_logger.level
    root_logger.setLevel(logging.ERROR)  # the quantiser advises on the root logger
    try:
        quantize_dynamic(source, target, per_channel=True, reduce_range=True)
    finally:
        root_logger.setLevel(level)
