"""The gate: may a candidate be registered? Its metrics against the limits of params.yaml, with a reason for each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.core.params import Gate
from pipeline.core.stage import Metrics
from pipeline.policies.metric_ranges import find_impossible
from pipeline.policies.reasons import Reason, percent, points

GateStatus = Literal["pass", "fail", "insufficient"]


@dataclass(frozen=True)
class Measure:
    """A metric of evaluate that has a limit: its key, its name, the sentence on its value, and how a value is shown."""

    key: str
    name: str
    sentence: str
    show: Callable[[float], str]


MIN_OUT_OF_SCOPE_ROWS = 20  # of left-out classes; with fewer, one row moves the share by more than 5 points
MINIMUMS = {  # limit: the metric that must not lie below it
    "min_test_rows": Measure("test_rows", "the number of test rows", "{} test rows", "{:.0f}".format),
    "min_accuracy": Measure("accuracy", "accuracy", "accuracy is {}", percent),
    "min_macro_f1": Measure("macro_f1", "macro-F1", "macro-F1 is {}", percent),
    "min_gain_over_probe": Measure(
        "gain_over_probe",
        "the untouched-encoder baseline",
        "accuracy is {} above the untouched-encoder baseline",
        points,
    ),
}
CALIBRATION = Measure(
    "calibration_error", "the calibration error", "confidence differs from accuracy by {} on average", points
)


@dataclass(frozen=True)
class GateVerdict:
    """Whether a candidate may be registered.

    ``reasons`` holds a line for each limit, as `Reason` writes it; for group gaps and flips, a line for each attribute
    or axis.
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
    faults = [Reason("fail", line) for stage, measured in stages.items() for line in find_impossible(stage, measured)]
    lines = faults + [
        check_minimum(name, getattr(limits, name), measure, metrics) for name, measure in MINIMUMS.items()
    ]
    lines.append(check_calibration(limits.max_calibration_error, metrics))
    lines.append(check_coverage(limits.min_coverage, metrics))
    lines.append(check_out_of_scope(limits.max_out_of_scope_answered, metrics))
    lines += check_group_gaps(limits.max_group_gap, fairness)
    lines += check_flip_rates(limits.max_flip_rate, counterfactual)
    statuses = {line.status for line in lines}
    overall: GateStatus = "fail" if "fail" in statuses else "insufficient" if "insufficient" in statuses else "pass"
    return GateVerdict(overall, tuple(map(str, lines)))


def check_minimum(name: str, limit: float | None, measure: Measure, metrics: Metrics) -> Reason:
    """The rule of a limit that a metric must reach; too few test rows are insufficient, not a failure."""
    key = f"gate.{name}"
    if limit is None:
        return off(key)
    if name == "min_gain_over_probe" and limit <= 0 and metrics.get("shipped") == "probe":
        # It is the baseline up to rounding, which may turn the label of a row.
        return Reason("not applicable", "the model that ships is the untouched-encoder baseline itself", key)
    value, wanted = finite_number(metrics.get(measure.key)), f"at least {measure.show(limit)} wanted"
    if value is None:
        return Reason("insufficient", f"{measure.name} was not measured, {wanted}", key)
    below = "insufficient" if name == "min_test_rows" else "fail"
    if name == "min_gain_over_probe" and value < 0:
        below_probe = f"{points(-value)}{interval(measure.key, metrics, sign=-1)} below"
        sentence = f"accuracy is {below_probe} the untouched-encoder baseline, {wanted}"
    else:
        sentence = f"{measure.sentence.format(measure.show(value) + interval(measure.key, metrics))}, {wanted}"
    return Reason("pass" if value >= limit else below, sentence, key)


def check_calibration(limit: float | None, metrics: Metrics) -> Reason:
    """The rule on the calibration error."""
    key = "gate.max_calibration_error"
    if limit is None:
        return off(key)
    value, allowed = finite_number(metrics.get(CALIBRATION.key)), f"at most {CALIBRATION.show(limit)} allowed"
    if value is None:
        return Reason("insufficient", f"{CALIBRATION.name} was not measured, {allowed}", key)
    sentence = f"{CALIBRATION.sentence.format(CALIBRATION.show(value))}, {allowed}"
    return Reason("pass" if value <= limit else "fail", sentence, key)


def check_coverage(limit: float | None, metrics: Metrics) -> Reason:
    """The rule on the share of the test rows that get a label; a model that never abstains gives one to each."""
    key = "gate.min_coverage"
    if limit is None:
        return off(key)
    abstention = metrics.get("abstention", {})
    if abstention.get("method") == "none":
        return Reason("not applicable", "the model gives every text a label", key)
    value, wanted = finite_number(abstention.get("coverage")), f"at least {percent(limit)} wanted"
    if value is None:
        return Reason("insufficient", f"the share of test rows that get a label was not measured, {wanted}", key)
    sentence = f"{percent(value)} of the test rows get a label, {wanted}"
    return Reason("pass" if value >= limit else "fail", sentence, key)


def check_out_of_scope(limit: float | None, metrics: Metrics) -> Reason:
    """The rule on the share of rows of left-out classes that get a label; a model that never abstains labels all."""
    key = "gate.max_out_of_scope_answered"
    if limit is None:
        return off(key)
    abstention, allowed = metrics.get("abstention", {}), f"at most {percent(limit)} allowed"
    if abstention.get("method") == "none":
        return Reason("pass" if limit >= 1 else "fail", f"the model gives every text a label, {allowed}", key)
    value, rows = finite_number(abstention.get("out_of_scope_answered")), abstention.get("out_of_scope_rows", 0)
    if value is None:
        return Reason("insufficient", f"the answers to rows of left-out classes were not measured, {allowed}", key)
    sentence = f"{percent(value)} of {rows} rows get a label where their class is left out, {allowed}"
    if rows < MIN_OUT_OF_SCOPE_ROWS:
        return Reason("insufficient", f"{sentence}; {MIN_OUT_OF_SCOPE_ROWS} rows needed to judge", key)
    return Reason("pass" if value <= limit else "fail", sentence, key)


def check_group_gaps(limit: float | None, fairness: Metrics) -> list[Reason]:
    """The rule for each group attribute; one without two groups of enough rows is insufficient."""
    key = "gate.max_group_gap"
    if limit is None:
        return [off(key)]
    if fairness.get("attributes") == 0:
        return [Reason("not applicable", "the test rows have no group attributes", key)]
    attributes = attribute_names(fairness)
    if not attributes:
        return [Reason("insufficient", "the accuracy by group was not measured", key)]
    return [check_group_gap(limit, attribute, fairness) for attribute in attributes]


def attribute_names(fairness: Metrics) -> list[str]:
    """The group attributes that fairness measured."""
    return [key.removesuffix(".status") for key in fairness if key.endswith(".status")]


def check_group_gap(limit: float, attribute: str, fairness: Metrics) -> Reason:
    """The rule for one group attribute; the sentence names the groups with too few rows.

    The largest of many differences is large by chance: ten random groups of about 100 rows each differed by up to 0.16
    on banking77. A gap beyond the limit whose interval reaches 0 is therefore no failure but insufficient: it takes
    more test rows.
    """
    key, metric = "gate.max_group_gap", f"{attribute}.accuracy_gap"
    small = fairness.get(f"{attribute}.insufficient_groups", [])
    too_few = f"; too few rows to judge {', '.join(small)}" if small else ""
    gap = finite_number(fairness.get(metric))
    if gap is None:
        sentence = f"the accuracy by {attribute} cannot be compared without two groups of enough rows{too_few}"
        return Reason("insufficient", sentence, key)
    lowest, highest = (fairness.get(f"{attribute}.{end}_accuracy_group") for end in ("lowest", "highest"))
    compared = f"the accuracy of two groups by {attribute} differs by {points(gap)}"
    if lowest is not None and lowest != highest:
        compared = f"accuracy by {attribute} is {points(gap)} lower for {lowest} than for {highest}"
    sentence = f"{compared}{interval(metric, fairness)}, at most {points(limit)} allowed{too_few}"
    may_be_chance = finite_number(fairness.get(f"{metric}_low")) == 0
    if fairness[f"{attribute}.status"] != "ok" or (gap > limit and may_be_chance):
        return Reason("insufficient", sentence, key)
    return Reason("pass" if gap <= limit else "fail", sentence, key)


def gap_statuses(limit: float | None, fairness: Metrics) -> dict[str, str]:
    """The status of the rule `max_group_gap` for each group attribute that was measured."""
    if limit is None:
        return dict.fromkeys(attribute_names(fairness), "off")
    return {name: check_group_gap(limit, name, fairness).status for name in attribute_names(fairness)}


def check_flip_rates(limit: float | None, counterfactual: Metrics) -> list[Reason]:
    """The rule for each axis of identity terms that the test rows mention.

    The user chooses group attributes, but not the terms that texts mention. An axis that too few rows mention is
    therefore not applicable, unless the lower end of its interval is above the limit: then it is insufficient.
    """
    key = "gate.max_flip_rate"
    if limit is None:
        return [off(key)]
    if "axes" not in counterfactual:
        return [Reason("insufficient", "the answers to exchanged identity terms were not measured", key)]
    axes = counterfactual["axes"]
    if not axes:
        return [Reason("not applicable", "the test rows hold no identity term", key)]
    return [check_flip_rate(limit, axis, counterfactual) for axis in axes]


def check_flip_rate(limit: float, axis: str, counterfactual: Metrics) -> Reason:
    """The rule for one axis of identity terms."""
    key, metric = "gate.max_flip_rate", f"{axis}.flip_rate"
    rate = finite_number(counterfactual.get(metric))
    if rate is None:
        return Reason("insufficient", f"how often an exchanged term of {axis} flips the label was not measured", key)
    sentence = (
        f"an exchanged term of {axis} flips the label in {percent(rate)} of the rows that hold one"
        f"{interval(metric, counterfactual)}, at most {percent(limit)} allowed"
    )
    if counterfactual.get(f"{axis}.status") == "ok":
        return Reason("pass" if rate <= limit else "fail", sentence, key)
    low = finite_number(counterfactual.get(f"{metric}_low"))
    surely_above = low is None or low > limit
    sentence += f"; {counterfactual.get(f'{axis}.rows')} rows, {counterfactual.get('min_rows')} needed to judge"
    return Reason("insufficient" if surely_above else "not applicable", sentence, key)


def off(key: str) -> Reason:
    """The rule of a limit that is null."""
    return Reason("off", "the limit is null", key)


def finite_number(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def interval(key: str, metrics: Metrics, sign: int = 1) -> str:
    """The interval of a metric in percent or points, such as " (83.0 to 89.7)"; empty if there is none.

    With the ``sign`` -1 it is that of the metric's negative.
    """
    ends = [finite_number(metrics.get(f"{key}_{end}")) for end in ("low", "high")]
    values = sorted(sign * end * 100 for end in ends if end is not None)
    return f" ({values[0]:.1f} to {values[1]:.1f})" if len(values) == 2 else ""
