"""The policy: what was measured against the limits of params.yaml, as one verdict with a reason for each limit."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.params import Gate
from pipeline.core.stage import Metrics

Status = Literal["pass", "fail", "insufficient"]
LOWER = {  # limit: the number of evaluate's metrics that must not lie below it
    "min_test_rows": "test_rows",
    "min_accuracy": "accuracy",
    "min_macro_f1": "macro_f1",
    "min_gain_over_probe": "gain_over_probe",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may be registered.

    ``reasons`` holds a line for each limit (for group gaps and flips, for each attribute or axis), which begins with
    the line's own status: pass, fail, insufficient, off (the limit is null) or not applicable.
    """

    status: Status
    reasons: tuple[str, ...]


def decide(metrics: Metrics, fairness: Metrics, limits: Gate, counterfactual: Metrics) -> Verdict:
    """Hold evaluate's ``metrics``, fairness' and counterfactual's against the limits.

    Measured values are compared, not the ends of their intervals: the limits say what is wanted of the best estimate,
    and the intervals stand beside it for the reader. (For group gaps see `group_gap`.) A failed limit outweighs a
    number that is missing or rests on too few rows, and that outweighs every pass: what nobody could measure is never
    a pass.
    """
    lines = [at_least(name, getattr(limits, name), key, metrics) for name, key in LOWER.items()]
    lines.append(at_most("max_calibration_error", limits.max_calibration_error, "calibration_error", metrics))
    lines += group_gaps(limits.max_group_gap, fairness)
    lines += flip_rates(limits.max_flip_rate, counterfactual)
    found = {status for status, _ in lines}
    overall: Status = "fail" if "fail" in found else "insufficient" if "insufficient" in found else "pass"
    return Verdict(overall, tuple(f"{status}: {text}" for status, text in lines))


def at_least(name: str, limit: float | None, key: str, metrics: Metrics) -> tuple[str, str]:
    """Status and text of a limit that the value must reach; too few test rows are insufficient, not a failure."""
    if limit is None:
        return "off", f"{name} is null"
    value = number(metrics.get(key))
    if value is None:
        return "insufficient", f"{name}: expected {key} of at least {limit:g}, but it was not measured"
    short = "insufficient" if name == "min_test_rows" else "fail"
    return "pass" if value >= limit else short, f"{name}: {key} {shown(key, metrics)}, at least {limit:g} wanted"


def at_most(name: str, limit: float | None, key: str, metrics: Metrics) -> tuple[str, str]:
    """Status and text of a limit that the value must not exceed."""
    if limit is None:
        return "off", f"{name} is null"
    value = number(metrics.get(key))
    if value is None:
        return "insufficient", f"{name}: expected {key} of at most {limit:g}, but it was not measured"
    return "pass" if value <= limit else "fail", f"{name}: {key} {shown(key, metrics)}, at most {limit:g} wanted"


def group_gaps(limit: float | None, fairness: Metrics) -> list[tuple[str, str]]:
    """Status and text for each group attribute; an attribute without two groups large enough is insufficient."""
    name = "max_group_gap"
    if limit is None:
        return [("off", f"{name} is null")]
    if fairness.get("attributes") == 0:
        return [("not applicable", f"{name}: the test rows have no group attributes")]
    attributes = [key.removesuffix(".status") for key in fairness if key.endswith(".status")]
    if not attributes:
        return [("insufficient", f"{name}: expected group metrics, but none were measured")]
    return [group_gap(name, limit, attribute, fairness) for attribute in attributes]


def group_gap(name: str, limit: float, attribute: str, fairness: Metrics) -> tuple[str, str]:
    """Status and text for one attribute; groups too small to be measured are named, whatever the others did.

    The largest of many differences is large by chance alone: ten groups drawn at random, of about 100 rows each, lay
    0.16 apart on banking77. A gap beyond the limit whose interval reaches down to 0 is therefore insufficient (more
    test rows are needed), not a failure.
    """
    key = f"{attribute}.accuracy_gap"
    status, text = at_most(f"{name} of {attribute}", limit, key, fairness)
    by_chance = number(fairness.get(f"{key}_low")) == 0
    if fairness[f"{attribute}.status"] != "ok" or (status == "fail" and by_chance):
        status = "insufficient"
    small = fairness.get(f"{attribute}.insufficient_groups", [])
    return status, f"{text}; too few rows to judge {', '.join(small)}" if small else text


def flip_rates(limit: float | None, counterfactual: Metrics) -> list[tuple[str, str]]:
    """Status and text for each axis of identity terms that the test rows mention.

    Group attributes are what the user asks about; mentions are what texts happen to hold. An axis that too few rows
    mention is therefore not applicable, unless even those few show a rate above the limit: then it is insufficient.
    """
    name = "max_flip_rate"
    if limit is None:
        return [("off", f"{name} is null")]
    if "axes" not in counterfactual:
        return [("insufficient", f"{name}: expected counterfactual metrics, but none were measured")]
    axes = counterfactual["axes"]
    if not axes:
        return [("not applicable", f"{name}: the test rows hold no identity term")]
    return [flip_rate(name, limit, axis, counterfactual) for axis in axes]


def flip_rate(name: str, limit: float, axis: str, counterfactual: Metrics) -> tuple[str, str]:
    """Status and text for one axis."""
    key = f"{axis}.flip_rate"
    status, text = at_most(f"{name} of {axis}", limit, key, counterfactual)
    if counterfactual[f"{axis}.status"] == "ok" or status == "insufficient":
        return status, text
    above = counterfactual[f"{key}_low"] > limit
    rows = f"; {counterfactual[f'{axis}.rows']} rows, {counterfactual['min_rows']} needed to judge"
    return "insufficient" if above else "not applicable", text + rows


def number(value: Any) -> float | None:
    """The value when it is a finite number, else None."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def shown(key: str, metrics: Metrics) -> str:
    """A measured value, with its interval where there is one."""
    low, high = number(metrics.get(f"{key}_low")), number(metrics.get(f"{key}_high"))
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"{round(metrics[key], 4):g}{interval}"
