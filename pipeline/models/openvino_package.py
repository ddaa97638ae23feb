"""The package openvino, imported so that it sends nothing, and what it says of this machine's CPU."""

import sys
from functools import cache
from typing import Any


def import_openvino() -> Any:
    """The package openvino. No telemetry is sent, whatever the settings of this user.

    It imports openvino_telemetry if it can, which sends unless a file in the user's home forbids it. Without that
    package it takes its own stub, which does nothing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that an import of it fails
    import openvino

    return openvino


@cache
def cpu_precisions() -> tuple[str, ...]:
    """The precisions that this CPU computes in without converting: ``float32``, and maybe ``bfloat16``."""
    capabilities = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("float32", "bfloat16") if "BF16" in capabilities else ("float32",)
