"""The heads of a classifier as arrays: their logits by numpy, and as nodes behind the ONNX graph of an encoder.

The linear head reads the unit vector of a text, the word head its distinct tokens, as in network.py. With them a new
head takes no export: the encoder's graph is the same.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.models.onnx_file import INPUTS, LOGITS, VECTORS
from pipeline.models.runtime import Batch

Heads = dict[str, np.ndarray]  # weight (classes, width), bias (classes,); maybe words (vocabulary, classes), idf
SMALLEST = 1e-12  # of a squared length, so that a text without known words divides by something


def read_heads(folder: Path) -> Heads:
    """The heads of the model in ``folder``, float32."""
    from safetensors.numpy import load_file

    heads: Heads = load_file(folder / "head.safetensors")
    return heads


def add_offsets(heads: Heads, offsets: np.ndarray) -> Heads:
    """The heads with ``offsets``, (classes,), float64, added to the logits of every text, by way of the bias."""
    return heads | {"bias": heads["bias"] + offsets.astype(np.float32)}


def head_logits(heads: Heads, vectors: np.ndarray, batch: Batch) -> np.ndarray:
    """The logits, (rows, classes), float32, of texts by their unit ``vectors``, (rows, width), float32, and tokens."""
    logits: np.ndarray = vectors @ heads["weight"].T + heads["bias"]
    return logits + word_logits(heads, batch) if "words" in heads else logits


def word_logits(heads: Heads, batch: Batch) -> np.ndarray:
    """The word head's part of the logits, (rows, classes), float32: see `network.WordHead`."""
    logits = np.zeros((len(batch[0]), heads["words"].shape[1]), dtype=np.float32)
    for row, (ids, mask) in enumerate(zip(*batch, strict=True)):
        distinct = np.unique(ids[mask.astype(bool)])
        idf = heads["idf"][distinct]
        logits[row] = idf @ heads["words"][distinct] / np.sqrt(max(SMALLEST, float((idf**2).sum())))
    return logits


def add_heads(encoder: Path, heads: Heads, path: Path) -> None:
    """Write the ONNX model ``path``: the graph in ``encoder`` with the heads behind it, and logits in place of vectors.

    The same graph and heads give the same bytes.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(encoder)
    arrays = {"head.weight": heads["weight"].T.copy(), "head.bias": heads["bias"]}
    nodes = [helper.make_node("Gemm", [VECTORS, "head.weight", "head.bias"], ["head.logits"], name="head")]
    if "words" in heads:
        constants, word_nodes = word_head_nodes(heads)
        arrays |= constants
        nodes += word_nodes
        nodes.append(helper.make_node("Add", ["head.logits", "words.logits"], [LOGITS], name="heads"))
    else:
        nodes[-1].output[0] = LOGITS
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in arrays.items())
    (vectors,) = model.graph.output
    rows = vectors.type.tensor_type.shape.dim[0].dim_param or "batch"
    model.graph.value_info.append(vectors)
    del model.graph.output[:]
    shape = [rows, len(heads["bias"])]
    model.graph.output.append(helper.make_tensor_value_info(LOGITS, onnx.TensorProto.FLOAT, shape))
    onnx.save(model, path)


def word_head_nodes(heads: Heads) -> tuple[dict[str, np.ndarray], list[Any]]:
    """Constants and nodes that compute ``words.logits``, (rows, classes), float32, as `network.WordHead` does.

    They read the token ids and the mask, both (rows, tokens), int64.
    """
    from onnx import TensorProto, helper

    ids, mask = INPUTS
    constants = {
        "words.table": heads["words"],
        "words.idf": heads["idf"],
        "words.first": np.array([1]),
        "words.last": np.array([2]),
        "words.one": np.array(1, dtype=np.float32),
        "words.smallest": np.array(SMALLEST, dtype=np.float32),
    }

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        named = [name if name in INPUTS else f"words.{name}" for name in inputs]
        return helper.make_node(kind, named, [f"words.{output}"], name=f"words/{output}", **attributes)

    return constants, [
        node("Unsqueeze", [ids, "last"], "column"),
        node("Unsqueeze", [ids, "first"], "row"),
        node("Equal", ["column", "row"], "equal"),
        node("Cast", ["equal"], "same", to=TensorProto.FLOAT),
        node("Cast", [mask], "real", to=TensorProto.FLOAT),
        node("Unsqueeze", ["real", "first"], "real_row"),
        node("Mul", ["same", "real_row"], "counted"),
        node("ReduceSum", ["counted", "last"], "sum", keepdims=0),
        node("Max", ["sum", "one"], "occurrences"),  # of the token in the text; all of them share its weight
        node("Gather", ["idf", ids], "idf_of"),
        node("Mul", ["idf_of", "real"], "idf_real"),
        node("Div", ["idf_real", "occurrences"], "share"),
        node("Mul", ["idf_real", "share"], "squares"),
        node("ReduceSum", ["squares", "first"], "square", keepdims=1),
        node("Max", ["square", "smallest"], "bounded"),
        node("Sqrt", ["bounded"], "length"),
        node("Div", ["share", "length"], "weight_of"),
        node("Unsqueeze", ["weight_of", "first"], "weights"),
        node("Gather", ["table", ids], "rows"),
        node("MatMul", ["weights", "rows"], "product"),
        node("Squeeze", ["product", "first"], "logits"),
    ]
