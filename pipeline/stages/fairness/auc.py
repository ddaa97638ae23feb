"""Ranking by subgroup: how well scores order the rows of a group, and how its rows stand among all others.

Borkan et al. 2019, "Nuanced Metrics for Measuring Unintended Bias with Real Data for Text Classification". For a
subgroup and one class against the rest:

- subgroup: both from the subgroup. Low: the model cannot tell them apart there.
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
COLUMNS = (*("attribute", "group", "class", "kind", "positives", "negatives", "status", "auc", "auc_low", "auc_high"),)


def measure(rows: pd.DataFrame, axes: dict[str, Axis], params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """One row a subgroup and kind, and the lowest AUC of each kind; empty, with the reason, where no class is meant.

    ``rows`` are test rows with ``label`` and ``score.<label>`` (probabilities).
    """
    labels = [name.removeprefix(SCORE) for name in rows.columns if name.startswith(SCORE)]
    positive, reason = meant(labels, params.auc_class)
    if positive is None:
        return pd.DataFrame(columns=COLUMNS), {"class": None, "reason": reason}
    truth, score = rows["label"].eq(positive).to_numpy(), rows[SCORE + positive].to_numpy(float)
    found = []
    for attribute, group, member, background in subgroups(rows, axes):
        parts = {
            "subgroup": (member & truth, member & ~truth),
            "bpsn": (background & truth, member & ~truth),
            "bnsp": (member & truth, background & ~truth),
        }
        for kind, (above, below) in parts.items():
            one = ranked(score[above], score[below], params)
            found.append({"attribute": attribute, "group": group, "class": positive, "kind": kind} | one)
    result = pd.DataFrame(found, columns=COLUMNS)
    everyone = ranked(score[truth], score[~truth], params)
    return result, {"class": positive, "overall": everyone["auc"]} | lowest(result)


def meant(labels: list[str], named: str | None) -> tuple[str | None, str]:
    """The class that counts as positive; None and the reason where it takes a name and has none."""
    if named is not None:
        if named not in labels:
            raise UserError(f"fairness.auc_class: expected one of {', '.join(labels)}, found {named}; correct it")
        return named, ""
    if len(labels) == 2:
        return labels[1], ""
    return None, f"{len(labels)} classes: name one under fairness.auc_class"


def subgroups(rows: pd.DataFrame, axes: dict[str, Axis]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Attribute, group, and which rows are in it (rows,) and which in its background; unknown ones are in neither."""
    for column in table.group_columns(rows):
        known = rows[column].notna().to_numpy()
        for group in sorted(rows[column].dropna().unique()):
            member = rows[column].eq(group).fillna(False).to_numpy(bool)
            yield column.removeprefix(table.GROUP), group, member, known & ~member
    for name, axis in axes.items():
        there = [{mention.cell.group for mention in axis.mentions(text)} for text in rows["text"]]
        for group in axis.groups:
            member = np.array([group in found for found in there])
            if member.any():
                yield f"mention {name}", group, member, ~member


def ranked(above: np.ndarray, below: np.ndarray, params: Fairness) -> Metrics:
    """AUC of scores that should be high over scores that should be low, with its interval; empty where rows are few."""
    counts = {"positives": len(above), "negatives": len(below)}
    if min(counts.values()) < params.min_group_size:
        return counts | {"status": "insufficient", "auc": None, "auc_low": None, "auc_high": None}
    auc, low, high = delong(above, below, params.interval)
    return counts | {"status": "ok", "auc": auc, "auc_low": low, "auc_high": high}


def delong(above: np.ndarray, below: np.ndarray, level: float) -> tuple[float, float, float]:
    """AUC and its interval on the logit scale, by the variance of DeLong et al. 1988 (placements after Sun & Xu 2014).

    Where every pair is in order, or none, there is no variance: Wilson's interval of the smaller class stands in.
    """
    from scipy.stats import norm, rankdata

    m, n = len(above), len(below)
    together = rankdata(np.concatenate([above, below]))
    over = (together[:m] - rankdata(above)) / n  # share of the low ones under each high one; ties count half
    under = 1 - (together[m:] - rankdata(below)) / m
    auc = float(over.mean())
    variance = over.var(ddof=1) / m + under.var(ddof=1) / n
    if variance == 0 or auc in (0.0, 1.0):
        return auc, *statistics.wilson(auc * min(m, n), min(m, n), level)
    reach = norm.ppf((1 + level) / 2) * np.sqrt(variance) / (auc * (1 - auc))
    low, high = 1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + np.array([-reach, reach]))))
    return auc, float(low), float(high)


def lowest(result: pd.DataFrame) -> Metrics:
    """The lowest AUC of each kind, whose it is, and how many subgroups are too small."""
    metrics: Metrics = {"insufficient": int(result["status"].eq("insufficient").sum())}
    for kind in KINDS:
        told = result[result["kind"].eq(kind) & result["status"].eq("ok")]
        if told.empty:
            metrics |= {f"lowest_{kind}": None, f"lowest_{kind}_group": None}
            continue
        worst = told.iloc[int(told["auc"].astype(float).argmin())]
        metrics |= {f"lowest_{kind}": float(worst["auc"]), f"lowest_{kind}_low": float(worst["auc_low"])}
        metrics |= {
            f"lowest_{kind}_high": float(worst["auc_high"]),
            f"lowest_{kind}_group": f"{worst['attribute']}: {worst['group']}",
        }
    return metrics
