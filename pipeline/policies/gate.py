"""The gate: may a candidate be registered? Its metrics against the limits of params.yaml, with a reason for each."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.params import Gate
from pipeline.core.stage import Metrics
from pipeline.policies.metric_ranges import find_impossible

GateStatus = Literal["pass", "fail", "insufficient"]
MINIMUMS = {  # limit: the metric of evaluate that must not lie below it
    "min_test_rows": "test_rows",
    "min_accuracy": "accuracy",
    "min_macro_f1": "macro_f1",
    "min_gain_over_probe": "gain_over_probe",
}


@dataclass(frozen=True)
class GateVerdict:
    """Whether a candidate may be registered.

    ``reasons`` holds a line for each limit; for group gaps and flips, a line for each attribute or axis. A line starts
    with its status: pass, fail, insufficient, off (the limit is null) or not applicable.
    """

    status: GateStatus
    reasons: tuple[str, ...]


def decide_registration(metrics: Metrics, fairness: Metrics, limits: Gate, counterfactual: Metrics) -> GateVerdict:
    """Compare the ``metrics`` of evaluate, and those of fairness and counterfactual, with the limits.

    The measured values are compared, not the ends of their intervals: a limit is about the best estimate, and the
    interval stands beside it for the reader. `check_group_gap` describes the exception. Any failed limit makes the
    verdict fail, and so does a metric that cannot be, whatever the limits are: it comes from a fault. Otherwise any
    number that was not measured, or rests on too few rows, makes it insufficient.
    """
    stages = {"evaluate": metrics, "fairness": fairness, "counterfactual": counterfactual}
    faults = [("fail", line) for stage, measured in stages.items() for line in find_impossible(stage, measured)]
    lines = faults + [check_minimum(name, getattr(limits, name), key, metrics) for name, key in MINIMUMS.items()]
    lines.append(check_maximum("max_calibration_error", limits.max_calibration_error, "calibration_error", metrics))
    lines += check_group_gaps(limits.max_group_gap, fairness)
    lines += check_flip_rates(limits.max_flip_rate, counterfactual)
    statuses = {status for status, _ in lines}
    overall: GateStatus = "fail" if "fail" in statuses else "insufficient" if "insufficient" in statuses else "pass"
    return GateVerdict(overall, tuple(f"{status}: {text}" for status, text in lines))


def check_minimum(name: str, limit: float | None, key: str, metrics: Metrics) -> tuple[str, str]:
    """Status and text of a limit that a metric must reach; too few test rows are insufficient, not a failure."""
    if limit is None:
        return "off", f"{name} is null"
    value = finite_number(metrics.get(key))
    if value is None:
        return "insufficient", f"{name}: expected {key} of at least {limit:g}, but it was not measured"
    below = "insufficient" if name == "min_test_rows" else "fail"
    text = f"{name}: {key} {format_measured(key, metrics)}, at least {limit:g} wanted"
    return "pass" if value >= limit else below, text


def check_maximum(name: str, limit: float | None, key: str, metrics: Metrics) -> tuple[str, str]:
    """Status and text of a limit that a metric must not exceed."""
    if limit is None:
        return "off", f"{name} is null"
    value = finite_number(metrics.get(key))
    if value is None:
        return "insufficient", f"{name}: expected {key} of at most {limit:g}, but it was not measured"
    text = f"{name}: {key} {format_measured(key, metrics)}, at most {limit:g} wanted"
    return "pass" if value <= limit else "fail", text


def check_group_gaps(limit: float | None, fairness: Metrics) -> list[tuple[str, str]]:
    """Status and text for each group attribute; one without two groups of enough rows is insufficient."""
    name = "max_group_gap"
    if limit is None:
        return [("off", f"{name} is null")]
    if fairness.get("attributes") == 0:
        return [("not applicable", f"{name}: the test rows have no group attributes")]
    attributes = [key.removesuffix(".status") for key in fairness if key.endswith(".status")]
    if not attributes:
        return [("insufficient", f"{name}: expected group metrics, but none were measured")]
    return [check_group_gap(name, limit, attribute, fairness) for attribute in attributes]


def check_group_gap(name: str, limit: float, attribute: str, fairness: Metrics) -> tuple[str, str]:
    """Status and text for one group attribute; the text names the groups with too few rows.

    The largest of many differences is large by chance: ten random groups of about 100 rows each differed by up to 0.16
    on banking77. A gap beyond the limit whose interval reaches 0 is therefore no failure but insufficient: it takes
    more test rows.
    """
    key = f"{attribute}.accuracy_gap"
    status, text = check_maximum(f"{name} of {attribute}", limit, key, fairness)
    may_be_chance = finite_number(fairness.get(f"{key}_low")) == 0
    if fairness[f"{attribute}.status"] != "ok" or (status == "fail" and may_be_chance):
        status = "insufficient"
    small = fairness.get(f"{attribute}.insufficient_groups", [])
    return status, f"{text}; too few rows to judge {', '.join(small)}" if small else text


def check_flip_rates(limit: float | None, counterfactual: Metrics) -> list[tuple[str, str]]:
    """Status and text for each axis of identity terms that the test rows mention.

    The user chooses group attributes, but not the terms that texts mention. An axis that too few rows mention is
    therefore not applicable, unless the lower end of its interval is above the limit: then it is insufficient.
    """
    name = "max_flip_rate"
    if limit is None:
        return [("off", f"{name} is null")]
    if "axes" not in counterfactual:
        return [("insufficient", f"{name}: expected counterfactual metrics, but none were measured")]
    axes = counterfactual["axes"]
    if not axes:
        return [("not applicable", f"{name}: the test rows hold no identity term")]
    return [check_flip_rate(name, limit, axis, counterfactual) for axis in axes]


def check_flip_rate(name: str, limit: float, axis: str, counterfactual: Metrics) -> tuple[str, str]:
    """Status and text for one axis of identity terms."""
    key = f"{axis}.flip_rate"
    status, text = check_maximum(f"{name} of {axis}", limit, key, counterfactual)
    if counterfactual.get(f"{axis}.status") == "ok" or status == "insufficient":
        return status, text
    low = finite_number(counterfactual.get(f"{key}_low"))
    surely_above = low is None or low > limit
    rows = f"; {counterfactual.get(f'{axis}.rows')} rows, {counterfactual.get('min_rows')} needed to judge"
    return "insufficient" if surely_above else "not applicable", text + rows


def finite_number(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def format_measured(key: str, metrics: Metrics) -> str:
    """A measured value as text, with its interval where there is one."""
    low, high = finite_number(metrics.get(f"{key}_low")), finite_number(metrics.get(f"{key}_high"))
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    return f"{round(metrics[key], 4):g}{interval}"
