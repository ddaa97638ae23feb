"""How small an effect held-out rows can tell from chance, which an ablation asks before it computes anything."""

import math
from collections.abc import Sequence

import pandas as pd

from pipeline.core.errors import UserError

MAX_UNSEEN_POINTS = 15.0  # where only larger effects can be told from chance, hours of training answer nothing


def smallest_telling_points(rows: int, interval: float) -> float:
    """The smallest effect in points of accuracy, 0 to 100, that so many held-out ``rows`` can tell from chance.

    In the best case k rows are gained and none is lost. A bootstrap sample then shows no gain with probability
    (1 - k / rows)^rows, which has to be at most the share below the interval.
    """
    gained = math.ceil(rows * (1 - ((1 - interval) / 2) ** (1 / rows)))
    return 100 * gained / rows


def require_telling_rows(held_out: Sequence[pd.DataFrame], interval: float) -> None:
    """Check that the rows that the seeds hold out can tell effects of at most `MAX_UNSEEN_POINTS` points.

    Raises UserError if they cannot.
    """
    rows = len({row_id for seed in held_out for row_id in seed["id"]})
    points = smallest_telling_points(rows, interval)
    if points > MAX_UNSEEN_POINTS:
        raise UserError(
            f"ablate: expected held-out rows that can tell an effect of {MAX_UNSEEN_POINTS:g} points from chance, "
            f"found {rows}, which can tell {points:.1f} points or more: nearly every verdict would be "
            '"too few labels to tell"; label more rows, hold out more with --seeds or --share, or give --anyway'
        )
