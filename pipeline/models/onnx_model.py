"""An ONNX file opened by the runtime of choice, and checked by a first answer."""

from pathlib import Path

import numpy as np

from pipeline.core.errors import UserError
from pipeline.models.onnx_file import vocabulary_size
from pipeline.models.runtime import Choice, Runtime


def open_model(path: Path, choice: Choice, output: str, threads: int | None = None) -> Runtime:
    """The model in the ONNX file ``path``, ready to compute ``output`` with the runtime and precision of ``choice``.

    It takes all CPUs unless ``threads`` says how many. Raises UserError if it is no such model.
    """
    if choice.runtime == "openvino":
        from pipeline.models.openvino_model import OpenVinoModel

        return OpenVinoModel(path, choice.precision, threads, output)
    from pipeline.models.onnxruntime_model import OnnxRuntimeModel

    return OnnxRuntimeModel(path, choice.precision, threads, output)


def check_answers(runtime: Runtime, path: Path, last: int, pad_id: int, labels: int, width: int) -> None:
    """Check that the model in ``path`` gives a finite logit for each label to the tokenizer's last token and padding.

    A tokenizer of another model is noticed so. The model gives vectors of ``width`` behind the logits. Raises UserError
    if it does not.
    """
    rows = vocabulary_size(path)
    if rows is not None and (highest := max(last, pad_id)) >= rows:
        raise UserError(
            f"{path}, with tokenizer.json: expected logits for token {highest}, found a model of {rows} tokens; "
            "rerun export"
        )
    ids, mask = np.array([[last, pad_id], [last, last]]), np.array([[1, 0], [1, 1]])
    (outputs,) = runtime.run([(ids.astype(np.int64), mask.astype(np.int64))])
    logits = outputs[:, : outputs.shape[1] - width]
    if logits.shape != (len(ids), labels):
        raise UserError(
            f"{path}: expected {labels} logits a text, one for each label of classifier.json, found the "
            f"shape {logits.shape} for {len(ids)} texts; rerun export"
        )
    if not np.isfinite(outputs).all():
        raise UserError(f"{path}: expected finite logits, found others; rerun export, with other offsets or weights")
