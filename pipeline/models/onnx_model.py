"""An ONNX file opened by the runtime of choice."""

from pathlib import Path

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
