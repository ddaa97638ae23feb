"""Gaps between groups, of champion and challenger on the same rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics
from pipeline.metrics import group_metrics as fairness

KINDS = 4  # of rows: both right, only the challenger, only the champion, neither


@dataclass(frozen=True)
class Group:
    """One group's accuracy by either model; ``status`` is ok, insufficient (too few rows) or unknown."""

    group: str
    rows: int
    champion: float
    challenger: float
    status: str


@dataclass(frozen=True)
class Gap:
    """The largest difference of accuracy between two groups, by either model; None with fewer than two large groups."""

    attribute: str
    status: str  # ok | insufficient
    groups: tuple[Group, ...]
    champion: float | None
    challenger: float | None
    challenger_low: float | None
    challenger_high: float | None
    increase: float | None
    increase_low: float | None
    increase_high: float | None

    @property
    def small(self) -> list[str]:
        """Groups with too few rows to be judged."""
        return [group.group for group in self.groups if group.status == "insufficient"]


def gaps(rows: pd.DataFrame, params: Fairness) -> tuple[Gap, ...]:
    """One gap for each group attribute of ``rows``, which hold ``label``, ``champion`` and ``challenger`` (answers)."""
    return tuple(gap(rows, column, params) for column in table.group_columns(rows))


def gap(rows: pd.DataFrame, column: str, params: Fairness) -> Gap:
    """The gap of one attribute, with intervals as in `fairness.groups.gap`; the increase is drawn with both answers."""
    values = rows[column].fillna(fairness.UNKNOWN)
    names = sorted(values.unique())
    counts = np.stack([kinds(rows[values.eq(name)]) for name in names])
    measured = accuracies(counts)
    groups = tuple(
        Group(name, int(counts[place].sum()), float(measured[0, place]), float(measured[1, place]), status)
        for place, name in enumerate(names)
        for status in [status_of(name, int(counts[place].sum()), params.min_group_size)]
    )
    attribute = column.removeprefix(table.GROUP)
    large = [place for place, one in enumerate(groups) if one.status == "ok"]
    if len(large) < 2:
        return Gap(attribute, "insufficient", groups, *[None] * 7)
    rng = np.random.default_rng(params.seed)
    drawn = np.stack(
        [accuracies(rng.multinomial(own.sum(), own / own.sum(), size=params.bootstrap)) for own in counts[large]],
        axis=-1,
    )  # (models, resamples, groups)
    deviations = drawn - measured[:, None, large]
    own = [
        fairness.gap("accuracy", measured[model, large, None], deviations[model, :, :, None], params.interval)[0]
        for model in (0, 1)
    ]
    increase = own[1]["accuracy_gap"] - own[0]["accuracy_gap"]
    wider = np.ptp(drawn[1], axis=1) - np.ptp(drawn[0], axis=1)
    margin = float(np.quantile(np.abs(wider - increase), params.interval))
    return Gap(
        attribute,
        "ok",
        groups,
        own[0]["accuracy_gap"],
        own[1]["accuracy_gap"],
        own[1]["accuracy_gap_low"],
        own[1]["accuracy_gap_high"],
        increase,
        increase - margin,
        increase + margin,
    )


def status_of(name: str, rows: int, least: int) -> str:
    """Whether a group can be judged."""
    if name == fairness.UNKNOWN:
        return fairness.UNKNOWN
    return "ok" if rows >= least else "insufficient"


def kinds(rows: pd.DataFrame) -> np.ndarray:
    """Counts of rows by who is right, (KINDS,)."""
    old, new = rows["champion"].eq(rows["label"]), rows["challenger"].eq(rows["label"])
    return np.bincount(2 * (~new).astype(int) + (~old).astype(int), minlength=KINDS)


def accuracies(counts: np.ndarray) -> np.ndarray:
    """Accuracy of champion and challenger from counts (..., KINDS), (2, ...)."""
    total = counts.sum(axis=-1)
    return np.stack([(counts[..., 0] + counts[..., 2]) / total, (counts[..., 0] + counts[..., 1]) / total])


def as_metrics(found: tuple[Gap, ...]) -> Metrics:
    """The challenger's gaps as the metrics that the gate's own rule reads."""
    metrics: Metrics = {"attributes": len(found)}
    for one in found:
        metrics |= {
            f"{one.attribute}.status": one.status,
            f"{one.attribute}.insufficient_groups": one.small,
            f"{one.attribute}.accuracy_gap": one.challenger,
            f"{one.attribute}.accuracy_gap_low": one.challenger_low,
            f"{one.attribute}.accuracy_gap_high": one.challenger_high,
        }
    return metrics
