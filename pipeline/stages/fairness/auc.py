"""AUC by subgroup: how well scores rank the rows of a subgroup, among themselves and against all other rows.

Borkan et al. 2019, "Nuanced Metrics for Measuring Unintended Bias with Real Data for Text Classification". For a
subgroup and one class against the rest there are three kinds of AUC:

- subgroup: positives and negatives of the subgroup. Low: the model cannot tell them apart there.
- bpsn, background positive, subgroup negative. Low: the subgroup's negatives score too high (false alarms).
- bnsp, background negative, subgroup positive. Low: the subgroup's positives score too low (they are missed).

A subgroup is a group of an attribute, or the rows whose text mentions a group (``mention <axis>``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics
from pipeline.text.identity import Axis

SCORE = "score."
KINDS = ("subgroup", "bpsn", "bnsp")
COLUMNS = ("attribute", "group", "class", "kind", "positives", "negatives", "status", "auc", "auc_low", "auc_high")


def measure(rows: pd.DataFrame, axes: dict[str, Axis], params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """A table with one row for each subgroup and kind, and the lowest AUC of each kind.

    ``rows`` are test rows with ``label`` and ``score.<label>`` (probabilities, 0 to 1). Where no class counts as
    positive, the table is empty and the metrics give the reason.
    """
    labels = [name.removeprefix(SCORE) for name in rows.columns if name.startswith(SCORE)]
    positive, reason = positive_class(labels, params.auc_class)
    if positive is None:
        return pd.DataFrame(columns=COLUMNS), {"class": None, "reason": reason}
    truth, scores = rows["label"].eq(positive).to_numpy(), rows[SCORE + positive].to_numpy(float)
    lines = []
    for attribute, group, member, background in subgroups(rows, axes):
        masks = {
            "subgroup": (member & truth, member & ~truth),
            "bpsn": (background & truth, member & ~truth),
            "bnsp": (member & truth, background & ~truth),
        }
        for kind, (positives, negatives) in masks.items():
            auc = auc_with_interval(scores[positives], scores[negatives], params)
            lines.append({"attribute": attribute, "group": group, "class": positive, "kind": kind} | auc)
    by_subgroup = pd.DataFrame(lines, columns=COLUMNS)
    overall = auc_with_interval(scores[truth], scores[~truth], params)
    return by_subgroup, {"class": positive, "overall": overall["auc"]} | lowest_by_kind(by_subgroup)


def positive_class(labels: list[str], requested: str | None) -> tuple[str | None, str]:
    """The class that counts as positive; None and the reason where there are many classes and none is requested.

    Of two classes the second is positive. Raises UserError if the requested class is none of ``labels``.
    """
    if requested is not None:
        if requested not in labels:
            raise UserError(f"fairness.auc_class: expected one of {', '.join(labels)}, found {requested}; correct it")
        return requested, ""
    if len(labels) == 2:
        return labels[1], ""
    return None, f"{len(labels)} classes: name one under fairness.auc_class"


def subgroups(rows: pd.DataFrame, axes: dict[str, Axis]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Each subgroup: attribute, group, and two masks (rows,), bool: the rows in it, and the rows in its background.

    A row whose group is unknown is in neither.
    """
    for column in table.group_columns(rows):
        known = rows[column].notna().to_numpy()
        for group in sorted(rows[column].dropna().unique()):
            member = rows[column].eq(group).fillna(False).to_numpy(bool)
            yield column.removeprefix(table.GROUP_PREFIX), group, member, known & ~member
    for name, axis in axes.items():
        mentioned = [{mention.cell.group for mention in axis.mentions(text)} for text in rows["text"]]
        for group in axis.groups:
            member = np.array([group in groups for groups in mentioned])
            if member.any():
                yield f"mention {name}", group, member, ~member


def auc_with_interval(positives: np.ndarray, negatives: np.ndarray, params: Fairness) -> Metrics:
    """AUC, 0 to 1, with its interval; empty with fewer than ``min_group_size`` positives or negatives.

    ``positives`` and ``negatives`` are the scores of the rows of each class, (rows,), float64.
    """
    counts = {"positives": len(positives), "negatives": len(negatives)}
    if min(counts.values()) < params.min_group_size:
        return counts | {"status": "insufficient", "auc": None, "auc_low": None, "auc_high": None}
    auc, low, high = delong(positives, negatives, params.interval)
    return counts | {"status": "ok", "auc": auc, "auc_low": low, "auc_high": high}


def delong(positives: np.ndarray, negatives: np.ndarray, level: float) -> tuple[float, float, float]:
    """AUC and the ends of its interval, all 0 to 1, by the variance of DeLong et al. 1988.

    ``positives`` and ``negatives`` are scores, (rows,), float64; ``level`` is the probability of the interval. It is
    symmetric on the logit scale. Placements are computed by ranks (Sun & Xu 2014). Where the variance is zero (every
    pair in order, or none), Wilson's interval of the smaller class takes its place.
    """
    from scipy.stats import norm, rankdata

    m, n = len(positives), len(negatives)
    ranks = rankdata(np.concatenate([positives, negatives]))
    below = (ranks[:m] - rankdata(positives)) / n  # share of negatives below each positive; ties count half
    above = 1 - (ranks[m:] - rankdata(negatives)) / m  # share of positives above each negative
    auc = float(below.mean())
    variance = below.var(ddof=1) / m + above.var(ddof=1) / n
    if variance == 0 or auc in (0.0, 1.0):
        return auc, *statistics.wilson_interval(auc * min(m, n), min(m, n), level)
    margin = norm.ppf((1 + level) / 2) * np.sqrt(variance) / (auc * (1 - auc))
    low, high = 1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + np.array([-margin, margin]))))
    return auc, float(low), float(high)


def lowest_by_kind(by_subgroup: pd.DataFrame) -> Metrics:
    """The lowest AUC of each kind with its subgroup, and the number of AUCs with too few rows."""
    metrics: Metrics = {"insufficient": int(by_subgroup["status"].eq("insufficient").sum())}
    for kind in KINDS:
        measured = by_subgroup[by_subgroup["kind"].eq(kind) & by_subgroup["status"].eq("ok")]
        if measured.empty:
            metrics |= {f"lowest_{kind}": None, f"lowest_{kind}_group": None}
            continue
        worst = measured.iloc[int(measured["auc"].astype(float).argmin())]
        metrics |= {f"lowest_{kind}": float(worst["auc"]), f"lowest_{kind}_low": float(worst["auc_low"])}
        metrics |= {
            f"lowest_{kind}_high": float(worst["auc_high"]),
            f"lowest_{kind}_group": f"{worst['attribute']}: {worst['group']}",
        }
    return metrics
