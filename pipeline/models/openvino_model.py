"""A model of ONNX that OpenVINO computes on CPUs, several batches at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from pipeline.core.errors import UserError
from pipeline.models.onnx_file import INPUTS, checked_content, first_line
from pipeline.models.openvino_package import import_openvino
from pipeline.models.runtime import Batch

HINTS = {"float32": "f32", "bfloat16": "bf16"}  # without a hint OpenVINO takes bfloat16 wherever the CPU has it


class OpenVinoModel:
    """A compiled ONNX model, with as many requests as it computes at a time.

    A row's output has the same bits whatever the other rows of its batch, their number and the padding.
    """

    name = "openvino"

    def __init__(self, path: Path, precision: str, threads: int | None, output: str) -> None:
        """Compile the model in ``path`` for ``precision``, on all CPUs unless ``threads`` says how many.

        Raises UserError if it is no ONNX model with our inputs and the float output ``output``.
        """
        openvino = import_openvino()
        self.precision = precision
        content = checked_content(path, output)
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "THROUGHPUT"}
        options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        try:
            core = openvino.Core()
            self.compiled = core.compile_model(core.read_model(BytesIO(content)), "CPU", options)
        except RuntimeError as error:
            raise UserError(f"{path}: expected an ONNX model, found: {first_line(error)}; rerun export") from None
        self.output = self.compiled.output(output)
        self.title = path.name
        self.idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
            self.idle.put(self.compiled.create_infer_request())

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The output for each batch, (rows, outputs), float32, in the order of the batches.

        Raises UserError that names the model's file if it cannot compute a batch.
        """
        pending: deque[tuple[Any, Batch]] = deque()
        try:
            for ids, mask in batches:
                request = self.take_request(wait=not pending)
                if request is None:  # all are busy: the oldest of this call ends first
                    request, batch = pending.popleft()
                    output = self.finish(request, batch)
                    self.start(request, ids, mask, pending)
                    yield output
                else:
                    self.start(request, ids, mask, pending)
            while pending:
                request, batch = pending.popleft()
                try:
                    output = self.finish(request, batch)
                finally:
                    self.idle.put(request)
                yield output
        finally:
            for request, _ in pending:
                request.cancel()
                request.wait()
                self.idle.put(request)

    def take_request(self, wait: bool) -> Any:
        """A request that nobody uses; None where there is none and ``wait`` is false."""
        try:
            return self.idle.get(block=wait)
        except Empty:
            return None

    def start(self, request: Any, ids: np.ndarray, mask: np.ndarray, pending: deque[tuple[Any, Batch]]) -> None:
        """Start computing a batch, ``ids`` and ``mask`` (rows, tokens), int64, and add it to ``pending``."""
        pending.append((request, (ids, mask)))
        request.start_async(dict(zip(INPUTS, (ids, mask), strict=True)), share_inputs=True)

    def finish(self, request: Any, batch: Batch) -> np.ndarray:
        """The output of a started ``request`` for ``batch``, (rows, outputs), float32, once it is there.

        Raises UserError if it cannot be computed.
        """
        try:
            request.wait()
        except RuntimeError as error:
            shape = f"{batch[0].shape[0]} texts of {batch[0].shape[1]} tokens"
            found = first_line(error)
            raise UserError(f"{self.title}: expected logits for {shape}, found: {found}; rerun export") from None
        output: np.ndarray = request.get_tensor(self.output).data.copy()
        return output
