"""What abstention does to labelled rows. It stands apart from abstention.py, because the service needs no pandas."""

import numpy as np
import pandas as pd

from pipeline.core.stage import Metrics
from pipeline.metrics.coverage import coverage_curve
from pipeline.models.abstention import AbstentionSettings


def measure_abstention(
    settings: AbstentionSettings | None, scores: np.ndarray | None, correct: np.ndarray
) -> tuple[Metrics, pd.DataFrame]:
    """What abstention does to labelled rows of known classes, and the curve of `coverage_curve` over them.

    ``scores`` is (rows,), float64; both it and ``settings`` are None for a model that does not abstain. ``correct``
    (rows,), bool, says where the most probable class is the right one.
    """
    if settings is None or scores is None:
        return {"method": "none"}, coverage_curve(np.zeros(0), np.zeros(0, dtype=bool))
    answered = scores <= settings.threshold
    metrics: Metrics = {
        "method": settings.method,
        "promised_coverage": settings.coverage,
        "coverage": float(answered.mean()),
        "refused_rows": int((~answered).sum()),
        "accuracy": float(correct[answered].mean()) if answered.any() else None,
        "accuracy_of_refused": float(correct[~answered].mean()) if not answered.all() else None,
        "out_of_scope_answered": settings.out_of_scope_answered,
        "out_of_scope_rows": settings.out_of_scope_rows,
    }
    return metrics, coverage_curve(scores, correct)
