"""Metrics that cannot be: a share above 1, a count below 0, a value that every evaluation has and that is missing.

No model measures that. The file is damaged, or the code that wrote it is wrong, so nothing may be decided by it.
"""

import math
from typing import Any

from pipeline.core.stage import Metrics

ALWAYS_MEASURED = ("test_rows", "accuracy", "macro_f1", "calibration_error")  # by evaluate
SHARE, DIFFERENCE, COUNT = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)
RANGES = {  # the last part of a metric's key: its range
    "accuracy": SHARE,
    "macro_f1": SHARE,
    "calibration_error": SHARE,
    "accuracy_gap": SHARE,
    "flip_rate": SHARE,
    "gain_over_probe": DIFFERENCE,
    "test_rows": COUNT,
}


def find_impossible(stage: str, metrics: Metrics) -> list[str]:
    """A line for each metric of a stage that is missing, no number, or outside its range; null means not measured."""
    required = ALWAYS_MEASURED if stage == "evaluate" else ()
    lines = [describe(stage, key, "none") for key in required if metrics.get(key) is None]
    for key, value in metrics.items():
        name = key.rsplit(".", 1)[-1].removesuffix("_low").removesuffix("_high")
        if value is not None and name in RANGES and not is_within(value, *RANGES[name]):
            lines.append(describe(stage, key, value if is_number(value) else "no number"))
    return lines


def is_number(value: Any) -> bool:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_within(value: Any, low: float, high: float) -> bool:
    """Whether a value is a finite number from ``low`` to ``high``."""
    return is_number(value) and math.isfinite(value) and low <= value <= high


def describe(stage: str, key: str, found: Any) -> str:
    """The line on one metric."""
    low, high = RANGES[key.rsplit(".", 1)[-1].removesuffix("_low").removesuffix("_high")]
    expected = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
    return (
        f"{stage}: expected {key} {expected}, found {found}; remove data/{stage}/metrics.json and run again; if it "
        "comes back, the stage is wrong"
    )
