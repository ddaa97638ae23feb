"""One look at the traffic of a version: every question, and its answer."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from pipeline.core.params import Drift, Monitor
from pipeline.policies.monitoring.accuracy import check_with_feedback, find_accuracy_drop
from pipeline.policies.monitoring.changes import find_abstentions, find_drift, list_slices
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.policies.monitoring.misuse import find_floods, find_misuse
from pipeline.policies.monitoring.reference import TrainingReference
from pipeline.policies.monitoring.traffic import Traffic, count_by_minute


def look_at(
    traffic: Traffic,
    given: dict[str, str],
    reference: TrainingReference,
    monitor: Monitor,
    limits: Drift,
    version: tuple[str | None, str],
    window: tuple[datetime, datetime],
    minutes: Mapping[str, Counter[np.datetime64]] | None = None,
    damaged: int = 0,
) -> TrafficLook:
    """The look at ``traffic`` of a version, its number and digest, in a window of time.

    ``window`` is its start and end, ``given`` maps prediction ids to the labels that people gave, and ``damaged`` files
    could not be read. ``minutes`` counts the texts of each key by minute, where more came than ``traffic`` holds.
    """
    minutes = count_by_minute(traffic.times, traffic.keys) if minutes is None else minutes
    findings = [
        *find_drift(traffic, reference, limits),
        find_accuracy_drop(traffic, reference, monitor, limits),
        check_with_feedback(traffic, given, reference, monitor, limits),
        find_abstentions(traffic, reference, monitor, limits),
        *find_misuse(traffic, reference, monitor, limits),
        *find_floods(minutes, monitor),
    ]
    return TrafficLook(
        *version,
        *window,
        rows=len(traffic),
        texts=len(traffic.distinct),
        keys=len(set(traffic.keys)),
        damaged=damaged,
        findings=tuple(findings),
        slices=list_slices(traffic, reference, limits),
    )
