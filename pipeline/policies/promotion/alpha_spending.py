"""The wear of a test set: each judgement made on it uses some of it up.

The k-th judgement is made at level alpha / (k (k + 1)). These levels sum to alpha over all k, so that the chance of
ever promoting a challenger that is no better than its champion by the margin, on one test set, is alpha at most (the
union bound; spending of alpha after Lan & DeMets 1983, with this series as in alpha-spending, Foster & Stine 2008).

That holds for challengers that were made without looking at the test rows. Whoever changes a model after reading its
test errors, or keeps trying until a verdict turns, adapts to the test set, which no correction of single judgements
makes good. Blum & Hardt (2015, the Ladder) show how far one gets: what is told of the test rows should be no more than
whether the best so far was beaten by a clear step. Promotion follows it in moving the champion by such steps alone; the
reports tell more than that. Hence the other half of the meter: it says when fresh test labels are due.
"""

import math
from collections.abc import Sequence

POWER = 0.8  # with which a detectable lead would be shown
SKETCH = 128  # row ids kept of each test set, to tell how many rows two of them share


def level(confidence: float, judgement: int) -> float:
    """One-sided level of the k-th judgement (from 1) of one test set."""
    return (1 - confidence) / (judgement * (judgement + 1))


def sketch(ids: Sequence[str]) -> list[str]:
    """The smallest ids: they are hashes, so that these are a random sample which is the same for the same rows."""
    return sorted(set(ids))[:SKETCH]


def shared(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of rows that two test sets have in common, of all rows of both, by their sketches (bottom-k, Cohen 1997).

    Exact up to 128 rows; from there on good to about 0.04.
    """
    whole = max(len(first), len(second)) < SKETCH
    sample = sorted({*first, *second})[: None if whole else SKETCH]
    return sum(one in first and one in second for one in sample) / len(sample) if sample else 0.0


def rows_that_tell(level: float) -> int:
    """The fewest rows on which only one model is right that could convince a sign test at ``level``: 0.5^n <= level."""
    return math.ceil(math.log2(1 / level) - 1e-9)


def reach(level: float) -> float:
    """How many standard errors above the margin a true lead must lie to be shown at ``level`` with POWER."""
    from scipy.stats import norm

    return float(norm.ppf(1 - level) + norm.ppf(POWER))


def detectable(error: float, rows: int, level: float) -> float:
    """The smallest true lead over the margin that so many rows would show, given the lead's standard error."""
    return max(reach(level) * error, rows_that_tell(level) / rows)


def rows_needed(error: float, rows: int, lead: float, level: float) -> int | None:
    """About how many rows would show this lead over the margin; None where there is none to show.

    The error shrinks with the root of the rows.
    """
    if lead <= 0 or error == 0:
        return None
    return max(math.ceil(rows * (reach(level) * error / lead) ** 2), rows)
