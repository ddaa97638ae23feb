"""What Prometheus reads at /metrics: counts, times and versions; never a text.

Several workers share their numbers through the folder PROMETHEUS_MULTIPROC_DIR, which the supervisor names before they
start. So the counts of a worker that was killed stay.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.serving.findings_file import read_look

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

REQUESTS = Counter("gleaner_requests", "Requests by path and status.", ["path", "status"])
REQUEST_SECONDS = Histogram("gleaner_request_seconds", "Time to the answer.", ["path"], buckets=SECONDS)
ANSWERS = Counter(
    "gleaner_answers", "Texts that were answered, by version and label, empty without one.", ["version", "label"]
)
REFUSALS = Counter("gleaner_refusals", "Requests that were refused, by code.", ["code"])
QUEUE_TEXTS = Gauge("gleaner_queue_texts", "Texts that wait for a batch.", multiprocess_mode="livesum")
BATCH_TEXTS = Histogram("gleaner_batch_texts", "Texts in a batch.", buckets=SIZES)
BATCH_SECONDS = Histogram("gleaner_batch_seconds", "Time to compute a batch.", buckets=SECONDS)
CORRECTIONS = Counter("gleaner_corrections", "Corrections that were stored, by version.", ["version"])
SERVED = Gauge(
    "gleaner_served_version", "1 for the version that answers now.", ["model", "version"], multiprocess_mode="livemax"
)
SWAPS = Counter("gleaner_version_changes", "Changes of the served version, by outcome.", ["outcome"])
REGISTRY_REACHABLE = Gauge(
    "gleaner_registry_reachable", "1 if the registry answered when last asked.", multiprocess_mode="livemin"
)
CHAMPION_SERVED = Gauge(
    "gleaner_champion_served", "1 if what answers is what the promotion log names.", multiprocess_mode="livemin"
)
TRAFFIC_ROWS = Counter("gleaner_traffic_rows", "Answers that were kept as numbers.")
TRAFFIC_LOST = Counter("gleaner_traffic_rows_lost", "Answers that could not be kept.")
SHADOW_TEXTS = Counter("gleaner_shadow_texts", "Texts that the shadow answered, too.", ["version", "shadow"])
DISAGREEMENTS = Counter(
    "gleaner_shadow_disagreements",
    "Texts with another label by the shadow, by the label that was returned.",
    ["version", "shadow", "label"],
)


class Findings(Collector):
    """What the last look at the traffic found, read from its file; nothing before the first look."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics of `gleaner monitor`."""
        look = read_look(self.path)
        if look is None:
            return
        names = {
            "time_seconds": ("When the last look was taken, Unix time.", []),
            "texts": ("Texts of the window.", ["version"]),
            "found": ("1 if a look found this; absent with too few texts.", ["finding", "key", "version"]),
            "value": ("What was measured for a finding.", ["finding", "key", "version"]),
            "limit": ("The limit of a finding.", ["finding", "key", "version"]),
            "estimated_accuracy": ("The accuracy estimated from confidence, with its interval.", ["bound", "version"]),
            "slice_change": (
                "Change of a label's share, or of a key's answers, since the training.",
                ["by", "slice", "version"],
            ),
        }
        gauges = {
            name: GaugeMetricFamily(f"gleaner_monitor_{name}", text, labels=labels)
            for name, (text, labels) in names.items()
        }
        gauges["time_seconds"].add_metric([], look.until.timestamp())
        version = str(look.version)
        gauges["texts"].add_metric([version], look.rows)
        for finding in look.findings:
            which = [finding.name, finding.key, version]
            if finding.status in ("found", "none"):
                gauges["found"].add_metric(which, finding.status == "found")
            for name, number in (("value", finding.value), ("limit", finding.limit)):
                if number is not None:
                    gauges[name].add_metric(which, number)
            if finding.name == "accuracy":
                bounds = {"value": finding.value, "low": finding.low, "high": finding.high}
                for bound, number in bounds.items():
                    if number is not None:
                        gauges["estimated_accuracy"].add_metric([bound, version], number)
        for part in look.slices:
            gauges["slice_change"].add_metric([part.by, part.name, version], part.change)
        yield from gauges.values()


def render(findings: Path | None) -> tuple[bytes, str]:
    """The metrics of all workers in Prometheus's text format, and its media type.

    ``findings`` is the file of the last look at the traffic; None where none is kept.
    """
    own = b""
    if findings is not None:
        of_findings = CollectorRegistry()
        of_findings.register(Findings(findings))
        own = generate_latest(of_findings)
    if FOLDER_VARIABLE not in os.environ:
        return generate_latest(REGISTRY) + own, CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry) + own, CONTENT_TYPE_LATEST
