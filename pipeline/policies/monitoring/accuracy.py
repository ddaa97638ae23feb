"""The accuracy of answers whose right labels nobody knows, estimated from calibrated confidence, and its check.

Confidence-based performance estimation (CBPE, as NannyML describes it): an answer with a calibrated confidence of 0.9
is right nine times in ten, so that the expected share of right answers is the mean confidence. Confidence is never
quite calibrated: the difference that the test rows showed is added (difference of confidences, Guillory et al. 2021).
The estimate is too high where a model is confidently wrong, as on foreign texts.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.params import Drift, Monitor
from pipeline.metrics.statistics import wilson_interval
from pipeline.policies.monitoring.finding import TrafficFinding
from pipeline.policies.monitoring.reference import MeasuredAnswers, TrainingReference
from pipeline.policies.monitoring.traffic import Traffic
from pipeline.policies.reasons import percent, points


@dataclass(frozen=True)
class AccuracyEstimate:
    """The estimated share of right answers, 0 to 1, with its interval."""

    value: float
    low: float
    high: float
    rows: int

    @property
    def words(self) -> str:
        """The estimate for people."""
        return f"{percent(self.value)} ({percent(self.low)} to {percent(self.high)})"


def estimate_accuracy(traffic: Traffic, tested: MeasuredAnswers | None, level: float) -> AccuracyEstimate | None:
    """The accuracy of the answers that have a label, with an interval of ``level``, 0 to 1; None if there are none.

    The interval is that of a sum of independent answers, right with the probability that is their confidence, and of
    the difference on the ``tested`` rows, by the normal distribution. Answers to one text are right or wrong together.
    """
    from scipy.stats import norm

    answered = ~traffic.abstained
    rows = int(answered.sum())
    if not rows:
        return None
    confidences, groups = traffic.confidences[answered], traffic.groups[answered]
    counts = np.bincount(groups)
    means, counts = np.bincount(groups, confidences)[counts > 0] / counts[counts > 0], counts[counts > 0]
    variance = float((counts**2 * means * (1 - means)).sum()) / rows**2
    value = float(confidences.mean())
    if tested is not None:
        value = min(1.0, max(0.0, value + tested.accuracy - tested.confidence))
        variance += tested.error**2
    reach = float(norm.ppf((1 + level) / 2)) * variance**0.5
    return AccuracyEstimate(value, max(0.0, value - reach), min(1.0, value + reach), rows)


def find_accuracy_drop(
    traffic: Traffic, reference: TrainingReference, monitor: Monitor, limits: Drift
) -> TrafficFinding:
    """Whether the estimated accuracy is surely below that on the test rows by more than is allowed."""
    tested, allowed = reference.tested, monitor.max_accuracy_drop
    estimate = estimate_accuracy(traffic, tested, monitor.interval)
    if estimate is None or estimate.rows < limits.min_rows:
        rows = estimate.rows if estimate else 0
        return TrafficFinding("accuracy", "insufficient", f"{rows} answers, {limits.min_rows} wanted", rows)
    numbers = (estimate.rows, estimate.value, estimate.low, estimate.high)
    sentence = f"estimated at {estimate.words} from the confidence of {estimate.rows} answers"
    if tested is None:
        sentence += f"; nothing to compare with: {reference.absence}"
        return TrafficFinding("accuracy", "insufficient", sentence, *numbers)
    sentence += f"; it was {percent(tested.accuracy)} on the test rows"
    if allowed is None:
        return TrafficFinding("accuracy", "off", sentence, *numbers)
    limit = tested.accuracy - allowed
    is_low = estimate.high < limit
    sentence += f"; a drop of more than {points(allowed)} is {'sure' if is_low else 'not sure'}"
    return TrafficFinding("accuracy", "found" if is_low else "none", sentence, *numbers, limit)


def check_with_feedback(traffic: Traffic, given: dict[str, str], monitor: Monitor, limits: Drift) -> TrafficFinding:
    """Whether answers that people confirmed or corrected are right less often than their confidence says.

    ``given`` maps prediction ids to the right labels. Whoever writes reports errors sooner than hits, so that the share
    of right answers among them is no estimate for all; it warns that one of both is off.
    """
    rows = np.array([number for number, id_ in enumerate(traffic.ids) if id_ in given], np.int64)
    rows = rows[~traffic.abstained[rows]]
    if len(rows) < limits.min_rows:
        return TrafficFinding(
            "feedback", "insufficient", f"{len(rows)} labelled answers, {limits.min_rows} wanted", len(rows)
        )
    hits = sum(traffic.labels[row] == given[traffic.ids[row]] for row in rows)
    low, high = wilson_interval(hits, len(rows), monitor.interval)
    share, expected = hits / len(rows), float(traffic.confidences[rows].mean())
    sentence = (
        f"{hits} of {len(rows)} labelled answers were right, {percent(share)} ({percent(low)} to {percent(high)}); "
        f"their confidence says {percent(expected)}"
    )
    if expected > high:
        sentence += "; more errors than that, or people report errors rather than hits"
    return TrafficFinding(
        "feedback", "found" if expected > high else "none", sentence, len(rows), share, low, high, expected
    )
