"""A bundle's ONNX model opened for prediction: from its bytes alone, and only if it fits labels and tokenizer."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.printable import printable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
VECTORS = "vectors"  # the unit vectors that the logits come from; bundles of before there was abstention have none
QUIET = 4  # of ONNX Runtime's log: only what ends the process; every other fault is raised, too


def open_session(path: Path, threads: int) -> "InferenceSession":
    """A session on CPU of the model in ``path``. Raises UserError if it is no ONNX model with our inputs and output."""
    from onnxruntime import InferenceSession, SessionOptions

    content = path.read_bytes()
    refuse_external_data(content, path)
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = QUIET
    try:
        session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  ONNX Runtime raises a class of its own for each fault
        raise UserError(f"{path}: expected an ONNX model, found: {first_line(error)}; rerun export") from None
    inputs = sorted(f"{value.name} {value.type}" for value in session.get_inputs())
    if inputs != sorted(f"{name} tensor(int64)" for name in INPUTS):
        found = printable(", ".join(inputs)) or "none"
        raise UserError(f"{path}: expected the int64 inputs {' and '.join(INPUTS)}, found {found}; rerun export")
    outputs = [f"{value.name} {value.type}" for value in session.get_outputs()]
    if f"{OUTPUT} tensor(float)" not in outputs:
        found = printable(", ".join(outputs)) or "none"
        raise UserError(f"{path}: expected the float output {OUTPUT}, found {found}; rerun export")
    return session


def refuse_external_data(content: bytes, path: Path) -> None:
    """Check that no tensor of the model in ``content`` lies in another file, of which no manifest has the digest.

    ONNX Runtime would look for it in the current directory. Raises UserError that names the tensor.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto, TensorProto

    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        raise UserError(f"{path}: expected an ONNX model, found something else; rerun export") from None
    for tensor in find_tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UserError(
                f"{path}: expected all weights inside, found {printable(tensor.name)} in another file; rerun export"
            )


def find_tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a message of ONNX: in graphs and their subgraphs, attributes, functions, wherever it is."""
    from google.protobuf.message import Message
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from find_tensors(part)


def run(session: "InferenceSession", ids: np.ndarray, mask: np.ndarray, title: str) -> np.ndarray:
    """The logits (rows, labels), float32, for token ``ids`` and ``mask``, both (rows, tokens), int64.

    Raises UserError that starts with ``title`` if the model cannot compute them.
    """
    return run_outputs(session, (OUTPUT,), ids, mask, title)[0]


def run_outputs(
    session: "InferenceSession", outputs: tuple[str, ...], ids: np.ndarray, mask: np.ndarray, title: str
) -> list[np.ndarray]:
    """The ``outputs`` of the model, each (rows, width), float32, for token ``ids`` and ``mask`` as `run` takes them.

    Raises UserError that starts with ``title`` if the model cannot compute them.
    """
    try:
        found: list[np.ndarray] = session.run(list(outputs), dict(zip(INPUTS, (ids, mask), strict=True)))
    except Exception as error:  # noqa: BLE001  ONNX Runtime raises a class of its own for each fault
        shape = f"{ids.shape[0]} texts of {ids.shape[1]} tokens"
        wanted = " and ".join(outputs)
        raise UserError(f"{title}: expected {wanted} for {shape}, found: {first_line(error)}; rerun export") from None
    return found


def vector_width(session: "InferenceSession") -> int | None:
    """The width of the text vectors that the model gives; None if it gives none."""
    shapes = [value.shape for value in session.get_outputs() if value.name == VECTORS and value.type == "tensor(float)"]
    return shapes[0][-1] if shapes and isinstance(shapes[0][-1], int) else None


def check_answers(session: "InferenceSession", path: Path, classes: int, tokens: tuple[int, int]) -> None:
    """Check that the model gives ``classes`` finite logits to each text.

    ``tokens`` are the tokenizer's last one, so that a tokenizer of another model is noticed, and that for padding.
    Raises UserError if it does not.
    """
    last, padding = tokens
    ids, mask = np.array([[last, padding], [last, last]]), np.array([[1, 0], [1, 1]])
    logits = run(session, ids.astype(np.int64), mask.astype(np.int64), f"{path}, with tokenizer.json")
    if logits.shape != (len(ids), classes):
        raise UserError(
            f"{path}: expected {classes} logits a text, one for each label of classifier.json, found the shape "
            f"{logits.shape} for {len(ids)} texts; rerun export"
        )
    if not np.isfinite(logits).all():
        raise UserError(f"{path}: expected finite logits, found others; rerun export, with other offsets or weights")


def first_line(error: Exception) -> str:
    """The first line of an error's message, cut to 200 characters."""
    return printable((str(error).splitlines() or [type(error).__name__])[0][:200])
