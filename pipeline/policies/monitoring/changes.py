"""What changed in the traffic of a version since its training: texts, answers, abstentions, and where most."""

from dataclasses import replace

import numpy as np

from pipeline.core.params import Drift, Monitor
from pipeline.metrics.statistics import wilson_interval
from pipeline.policies import drift
from pipeline.policies.drift import DriftTest
from pipeline.policies.monitoring.finding import TrafficFinding, TrafficSlice
from pipeline.policies.monitoring.reference import TrainingReference
from pipeline.policies.monitoring.traffic import NO_LABEL, Traffic
from pipeline.policies.reasons import percent

SLICES = 10  # by label, and by key, that are shown


def find_drift(traffic: Traffic, reference: TrainingReference, limits: Drift) -> list[TrafficFinding]:
    """Whether texts and answers differ from those of the training, by the tests of a night; a text counts once."""
    distinct = traffic.distinct
    old, new = reference.vectors, distinct.vectors
    if reference.labels is None:
        return [TrafficFinding(name, "insufficient", reference.absence) for name in ("texts", "answers")]
    pair = (reference.labels.tolist(), distinct.labels.tolist())
    if old is not None and new is not None and old.shape[1:] == new.shape[1:]:
        report = drift.detect_drift(old, new, {"answers": pair}, limits)
        return [from_drift_test(test) for test in report.tests]
    absence = TrafficFinding("texts", "insufficient", "no vectors were kept; see monitor.keep.vectors")
    return [absence, from_drift_test(drift.compare_labels("answers", *pair, limits, limits.alpha / 2))]


def from_drift_test(test: DriftTest) -> TrafficFinding:
    """A test of a night as a finding."""
    status = {"drift": "found", "none": "none", "insufficient": "insufficient"}[test.status]
    sentence = test.line.split(": ", 1)[1]
    return TrafficFinding(test.name, status, sentence, test.new, test.size, limit=test.limit)  # type: ignore[arg-type]


def find_abstentions(traffic: Traffic, reference: TrainingReference, monitor: Monitor, limits: Drift) -> TrafficFinding:
    """Whether surely more texts than allowed get no label; a text counts once."""
    rows, refused = len(traffic.distinct), int(traffic.distinct.abstained.sum())
    if rows < limits.min_rows:
        return TrafficFinding("abstained", "insufficient", f"{rows} texts, {limits.min_rows} wanted", rows)
    low, high = wilson_interval(refused, rows, monitor.interval)
    share = refused / rows
    sentence = f"{refused} of {rows} texts got no label, {percent(share)} ({percent(low)} to {percent(high)})"
    if reference.labels is not None:
        sentence += f"; {percent(float((reference.labels == NO_LABEL).mean()))} of the training's texts would get none"
    numbers = (rows, share, low, high)
    if monitor.max_abstained is None:
        return TrafficFinding("abstained", "off", sentence, *numbers)
    is_many = low > monitor.max_abstained
    sentence += f"; a share of more than {percent(monitor.max_abstained)} is {'sure' if is_many else 'not sure'}"
    return TrafficFinding("abstained", "found" if is_many else "none", sentence, *numbers, monitor.max_abstained)


def list_slices(traffic: Traffic, reference: TrainingReference, limits: Drift) -> tuple[TrafficSlice, ...]:
    """The labels whose share of the texts changed most, then the keys whose answers differ most from the training's."""
    if not len(traffic) or reference.labels is None:
        return ()
    old: list[str] = reference.labels.tolist()
    texts, labels = traffic.distinct, []
    for name in sorted({*old, *texts.labels}):
        rows = texts.labels == name
        share, mean = float(rows.mean()), float(texts.confidences[rows].mean()) if rows.any() else 0.0
        labels.append(TrafficSlice("label", name, int(rows.sum()), share, share - old.count(name) / len(old), mean))
    keys = []
    for key in sorted(set(traffic.keys)):
        part = replace(traffic, vectors=None).take(traffic.keys == key).distinct
        test = drift.compare_labels("answers", old, part.labels.tolist(), limits, limits.alpha)
        mean = float(part.confidences.mean())
        if test.size is not None:
            keys.append(TrafficSlice("key", key, len(part), len(part) / len(texts), test.size, mean))
    return (*changed_most(labels), *changed_most(keys))


def changed_most(slices: list[TrafficSlice]) -> list[TrafficSlice]:
    """The slices with the largest changes, the largest first."""
    order = np.argsort([-abs(one.change) for one in slices], kind="stable")[:SLICES]
    return [slices[position] for position in order]
