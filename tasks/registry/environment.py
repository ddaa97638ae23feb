"""The machine and the libraries that a version was made with. On others, a rebuild may differ in some bits."""

import os
import platform
from pathlib import Path
from typing import Any

from pipeline.core.library_versions import library_versions

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # floating-point sums depend on their number


def describe_environment(root: Path) -> dict[str, Any]:
    """Python, machine, threads, and the installed version of every package that constraints.txt pins."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": Path("/proc/driver/nvidia/gpus").exists(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "libraries": library_versions(pinned_packages(root / "constraints.txt")),
    }


def processor_name() -> str:
    """The model of the CPU, or what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def pinned_packages(constraints: Path) -> list[str]:
    """The names of the packages that ``constraints`` pins."""
    return [line.split("==")[0].strip() for line in constraints.read_text().splitlines() if "==" in line]


def environment_changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """One line for each difference between two results of `describe_environment`."""
    old, new = then["libraries"], now["libraries"]
    pairs = [(name, then.get(name), now[name]) for name in now if name != "libraries"]
    pairs += [(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())]
    changed = [pair for pair in pairs if pair[1] != pair[2]]
    return [f"{name} was {format_value(before)}, is {format_value(after)}" for name, before, after in changed]


def format_value(value: Any) -> str:
    """A value in words. None means that the package is not installed."""
    if isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in value.items()) or "not set"
    return "not there" if value is None else str(value)
