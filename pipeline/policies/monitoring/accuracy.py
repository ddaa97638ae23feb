"""The accuracy of answers whose right labels nobody knows, estimated from calibrated confidence, and its check.

Confidence-based performance estimation (CBPE, as NannyML describes it): an answer with a calibrated confidence of 0.9
is right nine times in ten, so that the expected share of right answers is the mean confidence. Confidence is never
quite calibrated: the difference that the test rows showed is added (difference of confidences, Guillory et al. 2021).
The estimate is too high where a model is confidently wrong, as on foreign texts.
"""

from dataclasses import dataclass, replace

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
    the difference on the ``tested`` rows, by the normal distribution. A text counts once, as it does
    among the tested rows: answers to one text are right or wrong together.
    """
    from scipy.stats import norm

    texts = traffic.distinct
    confidences = texts.confidences[~texts.abstained]
    rows = len(confidences)
    if not rows:
        return None
    value, variance = float(confidences.mean()), float((confidences * (1 - confidences)).sum()) / rows**2
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
        return TrafficFinding("accuracy", "insufficient", f"{rows} answered texts, {limits.min_rows} wanted", rows)
    numbers = (estimate.rows, estimate.value, estimate.low, estimate.high)
    sentence = f"estimated at {estimate.words} from the confidence of the answers to {estimate.rows} texts"
    if tested is None:
        sentence += f"; nothing to compare with: {reference.absence}"
        return TrafficFinding("accuracy", "insufficient", sentence, *numbers)
    sentence += f"; it was {percent(tested.accuracy)} on the test rows"
    if tested.refused:
        sentence += f" that got a label (the run and its report count the {tested.refused} without one, too)"
    if allowed is None:
        return TrafficFinding("accuracy", "off", sentence, *numbers)
    limit = tested.accuracy - allowed
    is_low = estimate.high < limit
    sentence += f"; a drop of more than {points(allowed)} is {'sure' if is_low else 'not sure'}"
    return TrafficFinding("accuracy", "found" if is_low else "none", sentence, *numbers, limit)


def check_with_feedback(
    traffic: Traffic, given: dict[str, str], reference: TrainingReference, monitor: Monitor, limits: Drift
) -> TrafficFinding:
    """Whether answers that people confirmed or corrected are surely right less often than estimated for them.

    ``given`` maps prediction ids to the right labels; a text counts once. Whoever writes reports errors sooner than
    hits, so that the share of right answers among them is no estimate for all. Where only errors were reported, it says
    nothing: then they are a finding only if they alone are more than all answers may have.
    """
    answered = replace(traffic, vectors=None).take(~traffic.abstained)  # without a copy of the vectors
    labelled = answered.take(np.array([id_ in given for id_ in answered.ids], bool)).distinct
    estimate, rows = estimate_accuracy(labelled, reference.tested, monitor.interval), len(labelled)
    if estimate is None or rows < limits.min_rows:
        return TrafficFinding("feedback", "insufficient", f"{rows} labelled texts, {limits.min_rows} wanted", rows)
    hits = sum(label == given[id_] for id_, label in zip(labelled.ids, labelled.labels, strict=True))
    share, (low, high) = hits / rows, wilson_interval(hits, rows, monitor.interval)
    sentence = (
        f"{hits} of {rows} labelled texts were answered right, {percent(share)} ({percent(low)} to {percent(high)}); "
        f"estimated at {percent(estimate.value)} from the confidence of these answers"
    )
    allowed = monitor.max_accuracy_drop
    if allowed is None:
        return TrafficFinding("feedback", "off", sentence, rows, share, low, high)
    limit = estimate.value - allowed
    if not hits and not is_too_many(rows, answered, reference, monitor, allowed):
        sentence = f"all {rows} labels are reported errors, which says nothing of the other answers"
        return TrafficFinding("feedback", "insufficient", sentence, rows)
    return TrafficFinding("feedback", "found" if high < limit else "none", sentence, rows, share, low, high, limit)


def is_too_many(errors: int, answered: Traffic, reference: TrainingReference, monitor: Monitor, allowed: float) -> bool:
    """Whether so many errors are surely too many for the estimated accuracy, even if all other answers are right."""
    estimate = estimate_accuracy(answered, reference.tested, monitor.interval)
    if estimate is None:
        return False
    _, highest = wilson_interval(estimate.rows - errors, estimate.rows, monitor.interval)
    return highest < estimate.value - allowed
