"""The package openvino, imported so that it sends nothing, and what it says of this machine's CPU."""

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

CPU_FLAGS = Path("/proc/cpuinfo")  # of Linux; no other system says so in a file


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


@cache
def is_faster_in_bfloat16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 by a unit of its own (AMX), as the flags of Linux say.

    With such a unit bfloat16 was 3 times as fast as float32; with the vector instructions AVX512-BF16 alone 0.6 to 1.9
    times (benchmarks/LOG.md).
    """
    flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace") if CPU_FLAGS.exists() else ""
    return "bfloat16" in cpu_precisions() and re.search(r"\bamx_bf16\b", flags) is not None
