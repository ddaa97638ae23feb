"""The content of an ONNX file, before a runtime opens it: complete in itself, with our inputs and the wanted output."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.printable import printable

INPUTS = ("input_ids", "attention_mask")
LOGITS, VECTORS = "logits", "vectors"  # the output of a bundle's model, and that of an encoder
LOGITS_AND_VECTORS = "logits_and_vectors"  # side by side: what a bundle that abstains computes


def checked_content(path: Path, output: str) -> bytes:
    """The bytes of an ONNX file that needs no other file.

    Raises UserError if it is no ONNX model with our inputs, as int64, and the float output ``output``.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto, TensorProto

    content = path.read_bytes()
    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        model = ModelProto()
    if not model.HasField("graph"):
        raise UserError(f"{path}: expected an ONNX model, found something else; rerun export")
    refuse_external_data(model, path)
    weights = {tensor.name for tensor in model.graph.initializer}  # old files list them among the inputs
    inputs = sorted(describe_value(value) for value in model.graph.input if value.name not in weights)
    if inputs != sorted(f"{name} int64" for name in INPUTS):
        found = printable(", ".join(inputs)) or "none"
        raise UserError(f"{path}: expected the int64 inputs {' and '.join(INPUTS)}, found {found}; rerun export")
    outputs = [describe_value(value) for value in model.graph.output]
    if f"{output} {TensorProto.DataType.Name(TensorProto.FLOAT).lower()}" not in outputs:
        found = printable(", ".join(outputs)) or "none"
        raise UserError(f"{path}: expected the float output {output}, found {found}; rerun export")
    return content


def describe_value(value: Any) -> str:
    """Name and type of an input or output of a graph, such as ``input_ids int64``."""
    from onnx import TensorProto

    return f"{value.name} {TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()}"


def vocabulary_size(path: Path) -> int | None:
    """How many tokens the model in an ONNX file has rows for; None where it does not look them up in a table.

    OpenVINO gives an answer for a token that has no row.
    """
    from onnx import ModelProto

    graph = ModelProto.FromString(path.read_bytes()).graph
    rows = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    tables = [node.input[0] for node in graph.node if node.op_type == "Gather" and node.input[1] == INPUTS[0]]
    return min((rows[name] for name in tables if name in rows), default=None)


def output_columns(path: Path, output: str) -> int | None:
    """How many numbers the model in an ONNX file gives to a text as ``output``; None if it gives none of it."""
    from onnx import ModelProto

    shapes = [
        value.type.tensor_type.shape.dim
        for value in ModelProto.FromString(path.read_bytes()).graph.output
        if value.name == output
    ]
    columns = int(shapes[0][-1].dim_value) if shapes and shapes[0] else 0
    return columns or None


def refuse_external_data(model: Any, path: Path) -> None:
    """Check that no tensor of ``model``, read from ``path``, lies in another file, of which no manifest has the digest.

    ONNX Runtime would look for it in the current directory. Raises UserError that names the tensor.
    """
    from onnx import TensorProto

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


def first_line(error: Exception) -> str:
    """The first line of an error's message, cut to 200 characters."""
    return printable((str(error).splitlines() or [type(error).__name__])[0][:200])
