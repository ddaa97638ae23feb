"""The machine and libraries that a version was made with: where they are others now, its bits may be others, too."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # sums depend on how many take part


def environment(root: Path) -> dict[str, Any]:
    """Python, machine, threads, and the installed version of every package that constraints.txt pins."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": Path("/proc/driver/nvidia/gpus").exists(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "libraries": libraries(root / "constraints.txt"),
    }


def processor() -> str:
    """The model of the CPU, or as much as Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def libraries(constraints: Path) -> dict[str, str]:
    """Installed versions of the packages that are pinned there; what is not installed is left out."""
    pinned = [line.split("==")[0].strip() for line in constraints.read_text().splitlines() if "==" in line]
    found = {}
    for name in pinned:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def otherwise(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is other than it was, a line each."""
    old, new = then["libraries"], now["libraries"]
    pairs = [(name, then.get(name), now[name]) for name in now if name != "libraries"]
    pairs += [(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())]
    return [f"{name} was {said(was)}, is {said(is_now)}" for name, was, is_now in pairs if was != is_now]


def said(value: Any) -> str:
    """A value in words; no version means that the package is not there."""
    if isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in value.items()) or "not set"
    return "not there" if value is None else str(value)
