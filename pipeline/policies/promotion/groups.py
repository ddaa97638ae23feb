"""Gaps between groups, of champion and challenger on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics
from pipeline.metrics import group_metrics

OUTCOMES = 4  # of a row: both right, only the challenger, only the champion, neither


@dataclass(frozen=True)
class GroupAccuracy:
    """One group's accuracy by both models; ``status`` is ok, insufficient (too few rows) or unknown."""

    group: str
    rows: int
    champion: float
    challenger: float
    status: str


@dataclass(frozen=True)
class GapComparison:
    """The largest gap of accuracy between two groups of an attribute, by both models, 0 to 1.

    The numbers are None where fewer than two groups have enough rows.
    """

    attribute: str
    status: str  # ok | insufficient
    groups: tuple[GroupAccuracy, ...]
    champion: float | None
    challenger: float | None
    challenger_low: float | None
    challenger_high: float | None
    increase: float | None
    increase_low: float | None
    increase_high: float | None

    @property
    def small(self) -> list[str]:
        """The groups with too few rows."""
        return [group.group for group in self.groups if group.status == "insufficient"]

    def end(self, choose: Callable[..., GroupAccuracy]) -> str | None:
        """The group of enough rows that ``choose``, min or max, picks by the challenger's accuracy."""
        large = [group for group in self.groups if group.status == "ok"]
        return choose(large, key=lambda group: group.challenger).group if large else None


def compare_gaps(rows: pd.DataFrame, params: Fairness) -> tuple[GapComparison, ...]:
    """The gaps of each group attribute of ``rows``.

    The columns ``champion`` and ``challenger`` hold the labels that the models give, ``label`` the true one.
    """
    return tuple(compare_gap(rows, column, params) for column in table.group_columns(rows))


def compare_gap(rows: pd.DataFrame, column: str, params: Fairness) -> GapComparison:
    """The gaps of one attribute, with intervals as in `group_metrics.gap_with_interval`.

    A resample draws rows with both models' answers, so that the interval of the increase is a paired one.
    """
    values = rows[column].fillna(group_metrics.UNKNOWN_GROUP)
    names = sorted(values.unique())
    counts = np.stack([count_outcomes(rows[values.eq(name)]) for name in names])
    measured = accuracies(counts)
    groups = list_groups(names, counts, params.min_group_size)
    attribute = column.removeprefix(table.GROUP_PREFIX)
    large = [index for index, group in enumerate(groups) if group.status == "ok"]
    if len(large) < 2:
        return GapComparison(attribute, "insufficient", groups, *[None] * 7)
    drawn = resample_accuracies(counts[large], params)
    deviations = drawn - measured[:, None, large]
    old, new = (
        group_metrics.gap_with_interval(
            "accuracy", measured[model, large, None], deviations[model, :, :, None], params.interval
        )[0]
        for model in (0, 1)
    )
    increase = new["accuracy_gap"] - old["accuracy_gap"]
    drawn_increases = np.ptp(drawn[1], axis=1) - np.ptp(drawn[0], axis=1)
    margin = float(np.quantile(np.abs(drawn_increases - increase), params.interval))
    return GapComparison(
        attribute,
        "ok",
        groups,
        old["accuracy_gap"],
        new["accuracy_gap"],
        new["accuracy_gap_low"],
        new["accuracy_gap_high"],
        increase,
        increase - margin,
        increase + margin,
    )


def list_groups(names: list[str], counts: np.ndarray, min_rows: int) -> tuple[GroupAccuracy, ...]:
    """The accuracies of each group, by its ``counts`` of outcomes, (groups, OUTCOMES), int64."""
    return tuple(
        GroupAccuracy(
            group=name,
            rows=int(outcomes.sum()),
            champion=float(champion),
            challenger=float(challenger),
            status=group_status(name, int(outcomes.sum()), min_rows),
        )
        for name, outcomes, champion, challenger in zip(names, counts, *accuracies(counts), strict=True)
    )


def group_status(name: str, rows: int, min_rows: int) -> str:
    """``ok`` for a group of enough rows, else ``insufficient``; ``unknown`` for rows without a group."""
    if name == group_metrics.UNKNOWN_GROUP:
        return group_metrics.UNKNOWN_GROUP
    return "ok" if rows >= min_rows else "insufficient"


def count_outcomes(rows: pd.DataFrame) -> np.ndarray:
    """Numbers of rows by which model is right, (OUTCOMES,), int64."""
    old, new = rows["champion"].eq(rows["label"]), rows["challenger"].eq(rows["label"])
    return np.bincount(2 * (~new).astype(int) + (~old).astype(int), minlength=OUTCOMES)


def resample_accuracies(counts: np.ndarray, params: Fairness) -> np.ndarray:
    """Accuracies in bootstrap resamples, (2 models, resamples, groups), float64, 0 to 1; groups keep their sizes.

    ``counts`` are the outcomes of each group's rows, (groups, OUTCOMES), int64.
    """
    rng = np.random.default_rng(params.seed)
    by_group = [
        accuracies(rng.multinomial(outcomes.sum(), outcomes / outcomes.sum(), size=params.bootstrap))
        for outcomes in counts
    ]
    return np.stack(by_group, axis=-1)


def accuracies(counts: np.ndarray) -> np.ndarray:
    """Accuracy of champion and challenger, (2, ...), float64, 0 to 1, from ``counts`` (..., OUTCOMES), int64."""
    total = counts.sum(axis=-1)
    return np.stack([(counts[..., 0] + counts[..., 2]) / total, (counts[..., 0] + counts[..., 1]) / total])


def to_gate_metrics(gaps: tuple[GapComparison, ...]) -> Metrics:
    """The challenger's gaps as the metrics that `gate.check_group_gaps` reads."""
    metrics: Metrics = {"attributes": len(gaps)}
    for gap in gaps:
        metrics |= {
            f"{gap.attribute}.status": gap.status,
            f"{gap.attribute}.insufficient_groups": gap.small,
            f"{gap.attribute}.lowest_accuracy_group": gap.end(min),
            f"{gap.attribute}.highest_accuracy_group": gap.end(max),
            f"{gap.attribute}.accuracy_gap": gap.challenger,
            f"{gap.attribute}.accuracy_gap_low": gap.challenger_low,
            f"{gap.attribute}.accuracy_gap_high": gap.challenger_high,
        }
    return metrics
