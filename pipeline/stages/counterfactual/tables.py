"""What swaps change, by pair of groups, by term and by axis.

Flip rates have Wilson's interval, changes of probabilities a bootstrap interval.
"""

import numpy as np
import pandas as pd

from pipeline.core.params import Counterfactual
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics

LABEL_CHANGE = "change."  # before a label: the column with the change of its probability
FLIP_COLUMNS = ("rows", "flips", "flip_rate", "flip_rate_low", "flip_rate_high", "status")
CHANGE_COLUMNS = ("mean_change", "mean_change_low", "mean_change_high")
GAIN_COLUMNS = ("gaining_label", "gain", "gain_low", "gain_high")
PAIR_COLUMNS = ("axis", "from", "to", *FLIP_COLUMNS, *CHANGE_COLUMNS, *GAIN_COLUMNS)
TERM_COLUMNS = ("axis", "from", "term", *FLIP_COLUMNS, *CHANGE_COLUMNS, "signed_change")


def by_pair(swaps: pd.DataFrame, labels: tuple[str, ...], params: Counterfactual) -> pd.DataFrame:
    """One row for each ordered pair of groups.

    ``mean_change`` is the mean of |change|. ``gain`` is the signed mean change of ``gaining_label``: the label whose
    probability grows most when the first group's terms become the second's.
    """
    lines = []
    for (axis, group, target), rows in swaps.groupby(["axis", "from", "to"], sort=True):
        means = rows[[f"{LABEL_CHANGE}{label}" for label in labels]].mean()
        column = str(means.idxmax())
        low, high = mean_interval(rows[column], params)
        gain = {"gaining_label": column.removeprefix(LABEL_CHANGE), "gain": float(means[column])}
        gain |= {"gain_low": low, "gain_high": high}
        lines.append({"axis": axis, "from": group, "to": target} | flips_and_change(rows, params) | gain)
    return pd.DataFrame(lines, columns=PAIR_COLUMNS).round(6)


def by_term(swaps: pd.DataFrame, params: Counterfactual) -> pd.DataFrame:
    """One row for each term that was swapped away, most frequent first; ``signed_change`` is the mean change."""
    lines = []
    for (axis, group, term), rows in swaps.explode("terms").groupby(["axis", "from", "terms"], sort=True):
        signed = {"signed_change": float(rows["change"].mean())}
        lines.append({"axis": axis, "from": group, "term": term} | flips_and_change(rows, params) | signed)
    terms = pd.DataFrame(lines, columns=TERM_COLUMNS).round(6)
    return terms.sort_values(["axis", "rows", "term"], ascending=[True, False, True], ignore_index=True)


def by_axis(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """``<axis>.rows``, ``<axis>.flip_rate`` and so on, and the highest flip rate among axes with enough rows."""
    metrics: Metrics = {}
    for axis, rows in swaps.groupby("axis", sort=True):
        metrics |= {f"{axis}.{key}": value for key, value in flips_and_change(rows, params).items()}
    axes = sorted(swaps["axis"].unique())
    flip_rates = {axis: metrics[f"{axis}.flip_rate"] for axis in axes if metrics[f"{axis}.status"] == "ok"}
    worst = max(flip_rates, key=lambda axis: flip_rates[axis], default=None)
    status = "ok" if flip_rates else "insufficient" if axes else "no terms"
    return {
        "axes": axes,
        "status": status,
        "min_rows": params.min_rows,
        "highest_flip_rate": flip_rates.get(worst) if worst else None,
        "highest_flip_rate_axis": worst,
    } | metrics


def flips_and_change(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """How often these swaps flip the label, and how far they change its probability."""
    return flip_rate(swaps, params) | mean_change(swaps, params)


def flip_rate(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """The number of test rows and the share of them that flips, 0 to 1, with its interval.

    A row with several swaps counts once, with the share of its swaps that flip. With fewer than ``min_rows`` rows the
    status is ``insufficient``: the rate and its wide interval are reported, but prove nothing.
    """
    by_row = swaps.groupby("row")["flip"].mean()
    low, high = statistics.wilson_interval(float(by_row.sum()), len(by_row), params.interval)
    return {
        "rows": len(by_row),
        "flips": int((by_row > 0).sum()),
        "flip_rate": round(float(by_row.mean()), 6),
        "flip_rate_low": round(low, 6),
        "flip_rate_high": round(high, 6),
        "status": "ok" if len(by_row) >= params.min_rows else "insufficient",
    }


def mean_change(swaps: pd.DataFrame, params: Counterfactual) -> Metrics:
    """Mean |change| of the first label's probability, 0 to 1, with its interval; a row counts once."""
    by_row = swaps["change"].abs().groupby(swaps["row"]).mean()
    low, high = mean_interval(by_row, params)
    return {
        "mean_change": round(float(by_row.mean()), 6),
        "mean_change_low": round(low, 6),
        "mean_change_high": round(high, 6),
    }


def mean_interval(values: pd.Series, params: Counterfactual) -> tuple[float, float]:
    """The bootstrap interval of the mean of ``values``."""
    rng = np.random.default_rng(params.seed)
    return statistics.mean_interval(values.to_numpy(float), params.bootstrap, params.interval, rng)
