"""Traffic of known make: texts of two classes as vectors around two means, and foreign ones around a third."""

from typing import Any

import numpy as np

from pipeline.core.params import Drift, Monitor, read_yaml
from pipeline.policies.monitoring.reference import MeasuredAnswers, TrainingReference
from pipeline.policies.monitoring.traffic import NO_LABEL, Traffic
from tests.support.promoting import ROOT
from tests.support.serving import params_with

WIDTH = 8
START = np.datetime64("2026-12-01T00:00:00", "us")


def monitor(**changes: Any) -> Monitor:
    """The project's section monitor with changes."""
    return params_with("monitor", **changes).monitor


def limits(**changes: Any) -> Drift:
    """The project's section drift with fewer permutations, of fewer rows."""
    return Drift.model_validate(
        read_yaml(ROOT / "params.yaml")["drift"] | {"permutations": 500, "max_rows": 200} | changes
    )


def vectors(rng: np.random.Generator, classes: np.ndarray, spread: float = 0.7) -> np.ndarray:
    """Unit vectors around the axis that is each text's class, (texts, WIDTH), float32."""
    drawn = np.eye(WIDTH)[classes] + rng.normal(0, spread, (len(classes), WIDTH))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def traffic(
    seed: int,
    rows: int,
    foreign: float = 0.0,
    key: str = "shop",
    confidence: float = 0.9,
    refused: float = 0.0,
    seconds: float = 10.0,
) -> Traffic:
    """Answers to texts of which a share is ``foreign``, and gets the label of the first class."""
    rng = np.random.default_rng(seed)
    classes = np.where(rng.random(rows) < foreign, 2, rng.integers(0, 2, rows))
    labels = np.array(["delivery", "refund", "delivery"], object)[classes]
    labels[rng.random(rows) < refused] = NO_LABEL
    confidences = rng.beta(confidence * 20, (1 - confidence) * 20, rows)
    times = START + (np.arange(rows) * seconds * 1e6).astype("timedelta64[us]")
    ids, keys = (np.array([f"{name}{row}" for row in range(rows)], object) for name in (key, ""))
    keys[:] = key
    return Traffic(
        times,
        ids,
        keys,
        labels,
        confidences,
        np.abs(2 * confidences - 1),
        vectors(rng, classes),
        rng.integers(2**62, size=rows),
    )


def joined(*parts: Traffic) -> Traffic:
    """All rows of several traffics."""
    columns = ("times", "ids", "keys", "labels", "confidences", "margins", "vectors", "text_numbers")
    return Traffic(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def reference(rows: int = 600, accuracy: float = 0.9, confidence: float = 0.9) -> TrainingReference:
    """A training on texts of the two classes."""
    learned = traffic(999, rows)
    margins = np.linspace(0.05, 1, 400)
    return TrainingReference(
        learned.vectors, learned.labels, MeasuredAnswers(accuracy, confidence, 0.3 / 20, margins), absence=""
    )
