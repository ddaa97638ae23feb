"""What swaps did, by pair of groups, by term and by axis: flips with Wilson's interval, scores with the bootstrap's."""

import numpy as np
import pandas as pd

from pipeline.core.params import Counterfactual
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics

MOVED = "moved."
FLIPS = ("rows", "flips", "flip_rate", "flip_rate_low", "flip_rate_high", "status")
SCORES = ("mean_change", "mean_change_low", "mean_change_high")
PAIRS = ("axis", "from", "to", *FLIPS, *SCORES, "gaining_label", "gain", "gain_low", "gain_high")
TERMS = ("axis", "from", "term", *FLIPS, *SCORES, "signed_change")


def by_pair(moved: pd.DataFrame, labels: tuple[str, ...], params: Counterfactual) -> pd.DataFrame:
    """One row an ordered pair: ``mean_change`` is the mean of |change|, ``gain`` the signed mean of the label whose
    probability grows most when the first group's terms become the second's.
    """
    found = []
    for (axis, one, other), rows in moved.groupby(["axis", "from", "to"], sort=True):
        means = rows[[f"{MOVED}{label}" for label in labels]].mean()
        column = str(means.idxmax())
        low, high = interval(rows[column], params)
        signed = {"gaining_label": column.removeprefix(MOVED), "gain": float(means[column])}
        signed |= {"gain_low": low, "gain_high": high}
        found.append({"axis": axis, "from": one, "to": other} | flips(rows, params) | scores(rows, params) | signed)
    return pd.DataFrame(found, columns=PAIRS).round(6)


def by_term(moved: pd.DataFrame, params: Counterfactual) -> pd.DataFrame:
    """One row a term that was swapped away, most frequent first; ``signed_change`` is the mean of the change."""
    found = []
    single = moved.explode("terms")
    for (axis, one, term), rows in single.groupby(["axis", "from", "terms"], sort=True):
        signed = {"signed_change": float(rows["change"].mean())}
        found.append({"axis": axis, "from": one, "term": term} | flips(rows, params) | scores(rows, params) | signed)
    table = pd.DataFrame(found, columns=TERMS).round(6)
    return table.sort_values(["axis", "rows", "term"], ascending=[True, False, True], ignore_index=True)


def by_axis(moved: pd.DataFrame, params: Counterfactual) -> Metrics:
    """``<axis>.rows``, ``.flip_rate`` and so on of every axis, and the highest rate of those with rows enough."""
    metrics: Metrics = {}
    for axis, rows in moved.groupby("axis", sort=True):
        metrics |= {f"{axis}.{key}": value for key, value in (flips(rows, params) | scores(rows, params)).items()}
    axes = sorted(moved["axis"].unique())
    told = {axis: metrics[f"{axis}.flip_rate"] for axis in axes if metrics[f"{axis}.status"] == "ok"}
    worst = max(told, key=lambda axis: told[axis], default=None)
    status = "ok" if told else "insufficient" if axes else "no terms"
    return {
        "axes": axes,
        "status": status,
        "min_rows": params.min_rows,
        "highest_flip_rate": told.get(worst) if worst else None,
        "highest_flip_rate_axis": worst,
    } | metrics


def flips(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """Test rows and the share that flips. A row with several swaps counts once, with the share of them that flip.

    ``insufficient`` below ``min_rows`` rows: the rate and its wide interval are there, and prove nothing.
    """
    by_row = swaps.groupby("row")["flip"].mean()
    low, high = statistics.wilson(float(by_row.sum()), len(by_row), params.interval)
    return {
        "rows": len(by_row),
        "flips": int((by_row > 0).sum()),
        "flip_rate": round(float(by_row.mean()), 6),
        "flip_rate_low": round(low, 6),
        "flip_rate_high": round(high, 6),
        "status": "ok" if len(by_row) >= params.min_rows else "insufficient",
    }


def scores(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """Mean |change| of the first label's probability, and its interval."""
    moved = swaps["change"].abs().groupby(swaps["row"]).mean()
    low, high = interval(moved, params)
    return {
        "mean_change": round(float(moved.mean()), 6),
        "mean_change_low": round(low, 6),
        "mean_change_high": round(high, 6),
    }


def interval(values: pd.Series, params: Counterfactual) -> tuple[float, float]:
    """Bootstrap interval of a mean."""
    rng = np.random.default_rng(params.seed)
    return statistics.mean_interval(values.to_numpy(float), params.bootstrap, params.interval, rng)
