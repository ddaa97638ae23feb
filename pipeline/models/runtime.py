"""The choice of what computes vectors and answers: torch, OpenVINO or ONNX Runtime, and in which precision.

    torch        where there is a GPU, in training, and where OpenVINO is not installed
    openvino     on CPUs
    onnxruntime  for answers where OpenVINO is not installed, and for all answers in int8

`encoder.runtime` and `encoder.precision` of params.yaml choose for vectors, `export.runtime` and `export.serve` for
answers. ``auto`` takes the first that fits this machine. What was taken is recorded with each bundle, and
`gleaner verify-version` asks for the same again by the environment variable of `COMPUTE_LIKE`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from pipeline.core.errors import UserError
from pipeline.models.openvino_package import cpu_precisions

Batch = tuple[np.ndarray, np.ndarray]  # token ids and mask of a batch, both (rows, tokens), int64
COMPUTE_LIKE = "GLEANER_COMPUTE_LIKE"  # JSON as a bundle's ``compute``: what ``auto`` has to take


class Runtime(Protocol):
    """A model that is ready to compute, in one precision."""

    @property
    def name(self) -> str:
        """``torch``, ``openvino`` or ``onnxruntime``."""

    @property
    def precision(self) -> str:
        """``float32``, ``bfloat16`` or ``int8``."""

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The model's output for each batch, (rows, outputs), float32, in the order of the batches.

        Several batches are computed at a time where the runtime can. Threads may call it at once.
        """


@dataclass(frozen=True)
class Choice:
    """A runtime by its name, and a precision."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        """Both in words, for messages and metrics."""
        return f"{self.runtime} {self.precision}"


def choose_for_answers(runtime: str | None, precision: str) -> Choice:
    """What computes the answers of a bundle in ``precision``; ``runtime`` None or ``auto`` leaves the choice to this.

    Raises UserError if the runtime is not installed, or if it or the CPU does not compute in the precision.
    """
    if runtime in (None, "auto"):
        wanted = asked_for().get("answers")
        runtime = wanted or ("openvino" if is_installed("openvino") else "onnxruntime")
        if precision == "int8":  # its ranges are those of ONNX Runtime's operators
            runtime = "onnxruntime"
    choice = Choice(str(runtime), precision)
    require_possible(choice, "export")
    return choice


def require_possible(choice: Choice, section: str) -> None:
    """Check that this machine has the runtime, and that the runtime and the CPU compute in the precision.

    ``section`` of params.yaml is where the message tells to change it. Raises UserError if they do not.
    """
    if not is_installed(choice.runtime):
        raise UserError(
            f"{section}.runtime: expected the package {choice.runtime}, found none; "
            f"install it with `pip install {choice.runtime} -c constraints.txt`, or choose another runtime"
        )
    key = "export.serve" if section == "export" else "encoder.precision"
    known = {"torch": ("float32", "bfloat16"), "onnxruntime": ("float32", "int8"), "openvino": ("float32", "bfloat16")}
    if choice.precision not in known[choice.runtime]:
        raise UserError(
            f"{key}: expected one of {', '.join(known[choice.runtime])} for {choice.runtime}, "
            f"found {choice.precision}; choose another precision or runtime"
        )
    if not cpu_knows(choice):
        raise UserError(
            f"{key}: expected a CPU that computes in {choice.precision}, found one that only knows "
            f"{', '.join(cpu_precisions())}; choose float32, or use such a CPU"
        )


def cpu_knows(choice: Choice) -> bool:
    """Whether the CPU computes in the precision; only OpenVINO asks it, torch computes in bfloat16 on any."""
    return choice.runtime != "openvino" or choice.precision in cpu_precisions()


@contextmanager
def compute_like(compute: dict[str, str], title: str) -> Iterator[None]:
    """Let ``auto`` take what a bundle recorded, in this process and those that it starts, for the block.

    ``compute`` is that of `recorded_compute`; an empty one asks for nothing. Raises UserError that starts with
    ``title`` if this machine cannot compute so.
    """
    needed = {Choice(compute["vectors"], compute[use]) for use in ("pool", "reported")} if compute else set()
    needed |= {Choice(compute["answers"], compute["served"])} if compute else set()
    for choice in sorted(needed, key=str):
        if not is_installed(choice.runtime) or not cpu_knows(choice):
            raise UserError(
                f"{title}: expected a machine that computes by {choice}, as it was made, found one that cannot; "
                "verify it on a CPU and with packages like those that it names"
            )
    before = os.environ.get(COMPUTE_LIKE)
    if compute:
        os.environ[COMPUTE_LIKE] = json.dumps(compute)
    try:
        yield
    finally:
        os.environ.pop(COMPUTE_LIKE, None)
        if before is not None:
            os.environ[COMPUTE_LIKE] = before


def asked_for() -> dict[str, Any]:
    """What ``auto`` has to take, by the keys of a bundle's ``compute``; empty where nobody asks.

    Raises UserError if the environment variable holds something else.
    """
    text = os.environ.get(COMPUTE_LIKE)
    try:
        wanted = json.loads(text) if text else {}
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise UserError(f"{COMPUTE_LIKE}: expected what a bundle's classifier.json has under compute; unset it")
    return wanted


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported for that."""
    return find_spec(package) is not None
