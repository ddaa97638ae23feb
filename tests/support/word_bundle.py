"""A real, sealed bundle of known scores: a text's logits are the sum of its words' rows in a table."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.stage import write_json
from pipeline.models import classifier
from pipeline.models.abstention import Abstention, AbstentionSettings, save_abstention

FOREIGN = "volcano"  # makes a text unlike every class, in a bundle that abstains
UNLIKE = 0.5  # cosine distance from all classes above which such a bundle abstains


def build(
    folder: Path,
    words: dict[str, list[float]],
    labels: list[str],
    temperature: float = 1.0,
    max_length: int = 16,
    directions: dict[str, list[float]] | None = None,
    abstains: bool = False,
) -> Path:
    """Write the bundle; ``words`` maps each word to its logit for each label, and every other word counts nothing.

    Padding (token 1) scores 1000 for the first label, so that an ignored attention mask shows at once. With
    ``directions``, which maps each word to as many numbers, the model gives vectors, too: their sums, as unit vectors.
    With ``abstains``, it gives vectors of its own, and a text with the word FOREIGN and at most one other known one
    gets no label.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    if abstains:
        words = words | {FOREIGN: [0.0] * len(labels)}
    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[PAD]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.array([[0] * len(labels), [1000] + [0] * (len(labels) - 1), *words.values()], dtype=np.float32)
    vectors = None
    if directions is not None:
        width = len(next(iter(directions.values())))
        rows = [[0.01] * width, [0.0] * width, *(directions[word] for word in words)]
        vectors = np.array(rows, dtype=np.float32)
    elif abstains:
        vectors = np.array([[3.0, 0.0][:: -1 if word == FOREIGN else 1] for word in vocabulary], dtype=np.float32)
        vectors[[word != FOREIGN for word in vocabulary]] /= 3
    save_model(table, folder / "model.onnx", vectors)
    about = {"labels": labels, "temperature": temperature, "max_length": max_length, "pooling": "mean"}
    if abstains:
        about["abstention"] = save_abstention_of(len(labels), folder)
    write_json(about | {"pad_id": 1, "serve": "float32", "lineage": {}}, folder / "classifier.json")
    classifier.seal(folder)
    return folder


def save_abstention_of(classes: int, folder: Path) -> dict[str, Any]:
    """Write what the bundle abstains by, the distance from the first axis, and return its settings."""
    settings = AbstentionSettings(method="graph", threshold=UNLIKE, coverage=0.95)
    means = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (classes, 1))
    weights = np.array([0, 0, 1, 0], dtype=np.float32)
    no_pool = np.zeros((0, 2), dtype=np.float32)
    save_abstention(Abstention(settings, no_pool, no_pool[:, 0], means, np.eye(2, dtype=np.float32), weights), folder)
    return settings.model_dump()


def save_model(table: np.ndarray, path: Path, vectors: np.ndarray | None = None) -> None:
    """Write an ONNX model that sums the rows of ``table`` (tokens, labels), float32, of the tokens under the mask.

    With ``vectors`` (tokens, width), float32, it also gives the sum of theirs at length 1, as a bundle that abstains.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = ["batch", "length"]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["weight"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weight", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["logits"], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", table.shape[1]])]
    tables = [numpy_helper.from_array(table, "table")]
    if vectors is not None:
        columns = table.shape[1] + vectors.shape[1]
        outputs.append(helper.make_tensor_value_info("logits_and_vectors", TensorProto.FLOAT, ["batch", columns]))
        tables.append(numpy_helper.from_array(vectors, "vectors"))
        nodes += [
            helper.make_node("Gather", ["vectors", "input_ids"], ["directions"]),
            helper.make_node("Mul", ["directions", "wide"], ["kept_directions"]),
            helper.make_node("ReduceSum", ["kept_directions", "tokens"], ["direction"], keepdims=0),
            helper.make_node("LpNormalization", ["direction"], ["unit"], axis=-1, p=2),
            helper.make_node("Concat", ["logits", "unit"], ["logits_and_vectors"], axis=1),
        ]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        outputs,
        [
            *tables,
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "tokens"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
