"""Signs that one key misuses a model: near copies of one text, probes near the border of two labels, floods."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipeline.core.params import Drift, Monitor
from pipeline.metrics.statistics import wilson_interval
from pipeline.policies.monitoring.finding import FindingStatus, TrafficFinding
from pipeline.policies.monitoring.reference import TrainingReference
from pipeline.policies.monitoring.traffic import Traffic
from pipeline.policies.reasons import percent


def find_misuse(
    traffic: Traffic, reference: TrainingReference, monitor: Monitor, limits: Drift
) -> list[TrafficFinding]:
    """Near copies and probes of each key with enough texts; all keys share the significance level ``limits.alpha``."""
    keys = sorted(set(traffic.keys))
    level = 1 - limits.alpha / max(1, 2 * len(keys))
    findings = []
    for key in keys:
        distinct = traffic.take(traffic.keys == key).distinct
        if len(distinct) >= limits.min_rows:
            findings += [
                find_near_copies(key, distinct, reference, monitor, limits, level),
                find_probes(key, distinct, reference, monitor, level),
            ]
    return findings


def find_near_copies(
    key: str, texts: Traffic, reference: TrainingReference, monitor: Monitor, limits: Drift, level: float
) -> TrafficFinding:
    """Whether many distinct texts of a key are near copies of others among them, more than among the training's."""
    limit, cosine = monitor.misuse.near_copies, monitor.misuse.near_copy_cosine
    if texts.vectors is None:
        return TrafficFinding("near_copies", "insufficient", "no vectors were kept; see monitor.keep.vectors", key=key)
    vectors = texts.vectors[-limits.max_rows :]
    copies = count_near_copies(vectors, cosine)
    usual = 0.0
    if reference.vectors is not None and reference.vectors.shape[1] == vectors.shape[1]:
        sample = reference.vectors[np.sort(np.unique(reference.vectors, axis=0, return_index=True)[1])][: len(vectors)]
        usual = count_near_copies(sample, cosine) / len(sample)
    sentence = (
        f"{copies} of {len(vectors)} distinct texts are near copies of others among them, "
        f"{percent(copies / len(vectors))}; {percent(usual)} among as many texts of the training"
    )
    return find_share("near_copies", key, (copies, len(vectors)), max(limit, usual), level, sentence)


def count_near_copies(vectors: np.ndarray, cosine: float) -> int:
    """How many of the unit ``vectors``, (texts, width), float32, have another one within ``cosine``."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    return int((cosines.max(axis=1, initial=-1) >= cosine).sum())


def find_probes(
    key: str, texts: Traffic, reference: TrainingReference, monitor: Monitor, level: float
) -> TrafficFinding:
    """Whether many distinct texts of a key lie where two labels are close, more than among the test rows."""
    limit, margin = monitor.misuse.near_border, monitor.misuse.border_margin
    near = int((texts.margins < margin).sum())
    usual = 0.0 if reference.tested is None else float((reference.tested.margins < margin).mean())
    sentence = (
        f"in {near} of {len(texts)} distinct texts the two most probable labels are close, "
        f"{percent(near / len(texts))}; {percent(usual)} of the test rows"
    )
    finding = find_share("near_border", key, (near, len(texts)), max(limit, usual), level, sentence)
    if finding.status == "found":
        return replace(finding, sentence=f"{sentence}. The texts are foreign, or somebody looks for the border")
    return finding


def find_share(
    name: str, key: str, counts: tuple[int, int], most: float, level: float, sentence: str
) -> TrafficFinding:
    """Whether the share of a key's texts, ``counts`` of so many, is surely above ``most``, 0 to 1."""
    hits, rows = counts
    low, high = wilson_interval(hits, rows, level)
    return TrafficFinding(name, "found" if low > most else "none", sentence, rows, hits / rows, low, high, most, key)


def find_floods(minutes: Mapping[str, Counter[np.datetime64]], monitor: Monitor) -> list[TrafficFinding]:
    """Whether a key sent far more texts in one minute than in its usual one, which is the median of those with any.

    ``minutes`` counts the texts of each key in each minute, UTC, that has any.
    """
    least, findings = monitor.misuse.flood_texts, []
    for key, counts in sorted(minutes.items()):
        usual = float(np.median([*counts.values()]))
        minute, most = counts.most_common(1)[0]
        is_flood = most >= least and most >= monitor.misuse.flood_factor * usual
        status: FindingStatus = "found" if is_flood else "none"
        of_usual = f"{usual:g} in a usual one" if len(counts) > 1 else "its only one, so that none is usual yet"
        wanted = f"a flood has at least {least}, and {monitor.misuse.flood_factor:g} times as many as a usual minute"
        sentence = f"{most} texts in the minute of {minute} UTC, {of_usual}; {wanted}"
        findings.append(TrafficFinding("flood", status, sentence, counts.total(), most, limit=least, key=key))
    return findings
