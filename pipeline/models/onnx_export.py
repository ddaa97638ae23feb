"""A torch module of token ids and mask as an ONNX file."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.models.onnx_file import INPUTS

if TYPE_CHECKING:
    import torch


def export_onnx(module: "torch.nn.Module", path: Path, output: str) -> None:
    """Write the module as float32 ONNX with free batch size and length, and nothing of this machine in it.

    Its one output gets the name ``output``. torch's older exporter (dynamo=False) gives a silently wrong model for BERT
    under transformers 5.
    """
    import onnx
    import torch

    axes = {0: "batch", 1: "length"}
    ids = torch.ones((2, 8), dtype=torch.int64)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # about the names of shared axes, and torch's deprecations
        program = torch.onnx.export(
            module,
            kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            input_names=list(INPUTS),
            output_names=[output],
            dynamic_shapes={name: axes for name in INPUTS},
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
