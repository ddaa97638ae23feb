"""A real, sealed bundle of known scores: a text's logits are the sum of its words' rows in a table."""

from pathlib import Path

import numpy as np

from pipeline.core.stage import write_json
from pipeline.models import classifier


def build(
    folder: Path,
    words: dict[str, list[float]],
    labels: list[str],
    temperature: float = 1.0,
    max_length: int = 16,
    directions: dict[str, list[float]] | None = None,
) -> Path:
    """Write the bundle; ``words`` maps each word to its logit for each label, and every other word counts nothing.

    Padding (token 1) scores 1000 for the first label, so that an ignored attention mask shows at once. With
    ``directions``, which maps each word to as many numbers, the model gives vectors, too: their sums, as unit vectors.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[PAD]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.array([[0] * len(labels), [1000] + [0] * (len(labels) - 1), *words.values()], dtype=np.float32)
    second = None
    if directions is not None:
        width = len(next(iter(directions.values())))
        rows = [[0.01] * width, [0.0] * width, *(directions[word] for word in words)]
        second = np.array(rows, dtype=np.float32)
    save_model(table, folder / "model.onnx", second)
    about = {"labels": labels, "temperature": temperature, "max_length": max_length, "pooling": "mean"}
    write_json(about | {"pad_id": 1, "serve": "float32", "lineage": {}}, folder / "classifier.json")
    classifier.seal(folder)
    return folder


def save_model(table: np.ndarray, path: Path, directions: np.ndarray | None = None) -> None:
    """Write an ONNX model that sums the rows of ``table`` (tokens, labels), float32, of the tokens under the mask.

    With ``directions``, (tokens, width), float32, it gives the unit vector of their sum behind the logits, too.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    labels = table.shape[1]
    table = table if directions is None else np.concatenate([table, directions], axis=1)

    shape = ["batch", "length"]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["weight"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weight", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["logits" if directions is None else "sums"], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])]
    if directions is not None:
        nodes += [
            helper.make_node("Split", ["sums", "parts"], ["logits", "sum"], axis=1),
            helper.make_node("LpNormalization", ["sum"], ["vectors"], axis=1, p=2),
            helper.make_node("Concat", ["logits", "vectors"], ["logits_and_vectors"], axis=1),
        ]
        outputs.append(
            helper.make_tensor_value_info("logits_and_vectors", TensorProto.FLOAT, ["batch", table.shape[1]])
        )
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        outputs,
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "tokens"),
            numpy_helper.from_array(np.array([labels, table.shape[1] - labels]), "parts"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
