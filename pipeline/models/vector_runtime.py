"""The choice of what computes text vectors, by `encoder.runtime` and `encoder.precision` of params.yaml."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline.core.params import Encoder
from pipeline.models.openvino_package import is_faster_in_bfloat16
from pipeline.models.runtime import Choice, asked_for, is_installed, require_possible

GPU_DEVICES = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # of NVIDIA, AMD, and Windows' subsystem for Linux


def choose_for_vectors(encoder: Encoder, *, pool: bool) -> Choice:
    """What computes text vectors; ``pool`` says that they are those of the pool, from which no figure is reported.

    The precision ``auto`` is bfloat16 for the pool where OpenVINO computes faster in it on this CPU, otherwise float32.
    Raises UserError if the runtime is not installed, or if it or the CPU does not compute in the precision.
    """
    wanted = asked_for()
    runtime = encoder.runtime
    if runtime == "auto":
        runtime = wanted.get("vectors") or ("torch" if has_gpu() or not is_installed("openvino") else "openvino")
    precision = encoder.precision
    if precision == "auto":
        fast = runtime == "openvino" and is_faster_in_bfloat16()
        precision = (wanted.get("pool") or ("bfloat16" if fast else "float32")) if pool else "float32"
    choice = Choice(runtime, precision)
    require_possible(choice, "encoder")
    return choice


def identity(choice: Choice) -> str:
    """What the bits of vectors depend on besides the kind of CPU: runtime, its version, precision, and GPU or CPU."""
    device = "gpu" if choice.runtime == "torch" and has_gpu() else "cpu"
    return f"{choice.runtime} {version(choice.runtime)} {choice.precision} {device}"


def record(encoder: Encoder, answers: Choice) -> dict[str, str]:
    """What computed the vectors and the answers of a bundle, for its classifier.json: runtimes and precisions."""
    pool, reported = choose_for_vectors(encoder, pool=True), choose_for_vectors(encoder, pool=False)
    return {
        "vectors": pool.runtime,
        "pool": pool.precision,
        "reported": reported.precision,
        "answers": answers.runtime,
        "served": answers.precision,
    }


@cache
def has_gpu() -> bool:
    """Whether torch finds a GPU; torch is imported only where the machine has the device of one."""
    if not any(Path(device).exists() for device in GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()
