"""A model of ONNX that ONNX Runtime computes on CPUs: where OpenVINO is not installed, and in int8."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pipeline.core.errors import UserError
from pipeline.models.onnx_file import INPUTS, checked_content, first_line
from pipeline.models.runtime import Batch

QUIET = 4  # of ONNX Runtime's log: only what ends the process; every other fault is raised, too


class OnnxRuntimeModel:
    """A session of ONNX Runtime. In float32 a row's output differs in its last bits with the rows beside it."""

    name = "onnxruntime"

    def __init__(self, path: Path, precision: str, threads: int | None, output: str) -> None:
        """Open the model in ``path``, which is of ``precision``, on all CPUs unless ``threads`` says how many.

        Raises UserError if it is no ONNX model with our inputs and the float output ``output``.
        """
        from onnxruntime import InferenceSession, SessionOptions

        content = checked_content(path, output)
        self.precision, self.output, self.title = precision, output, path.name
        options = SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.log_severity_level = QUIET
        try:
            self.session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  ONNX Runtime raises a class of its own for each fault
            raise UserError(f"{path}: expected an ONNX model, found: {first_line(error)}; rerun export") from None

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The output for each batch, (rows, outputs), float32.

        Raises UserError that names the model's file if it cannot compute a batch.
        """
        for ids, mask in batches:
            try:
                (output,) = self.session.run([self.output], dict(zip(INPUTS, (ids, mask), strict=True)))
            except Exception as error:  # noqa: BLE001  ONNX Runtime raises a class of its own for each fault
                shape, found = f"{ids.shape[0]} texts of {ids.shape[1]} tokens", first_line(error)
                raise UserError(f"{self.title}: expected logits for {shape}, found: {found}; rerun export") from None
            yield output
