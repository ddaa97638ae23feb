"""Alpha spending: the significance level of each judgement of one test set, and what can be shown at it.

The k-th judgement of a test set is made at level alpha / (k (k + 1)). These levels sum to alpha over all k. By the
union bound, alpha is thus the largest probability of ever promoting, on one test set, a challenger that is no better
than its champion by the margin. Spending of alpha is by Lan & DeMets (1983), this series by Foster & Stine (2008).

The guarantee holds for challengers that were made without the test rows. A person who changes a model after reading its
test errors, or retries until a verdict turns, adapts to the test set, and no correction of single judgements repairs
that. Blum & Hardt (2015, the Ladder) show how far adaptation goes if more is published than whether the best score so
far was beaten by a clear step. Promotion moves the champion by such steps only, but the reports publish more. Fresh
test labels are therefore due after some time: `reuse_of_test_set.measure_reuse` decides when.
"""

import math

POWER = 0.8  # probability of showing a detectable lead; the usual choice for the size of a study (Cohen 1988)


def level_of_judgement(confidence: float, judgement: int) -> float:
    """One-sided level, 0 to 1, of the k-th judgement of one test set; ``judgement`` counts from 1."""
    return (1 - confidence) / (judgement * (judgement + 1))


def least_discordant_rows(level: float) -> int:
    """The fewest rows on which only one model is right that can convince a sign test at ``level``: 0.5^n <= level."""
    return math.ceil(math.log2(1 / level) - 1e-9)


def detectable_standard_errors(level: float) -> float:
    """How many standard errors above the margin a true lead must lie to be shown at ``level`` with POWER."""
    from scipy.stats import norm

    return float(norm.ppf(1 - level) + norm.ppf(POWER))


def detectable_lead(error: float, rows: int, level: float) -> float:
    """The smallest true lead over the margin, 0 to 1, that ``rows`` rows would show at ``level``.

    ``error`` is the standard error of the lead.
    """
    return max(detectable_standard_errors(level) * error, least_discordant_rows(level) / rows)


def rows_needed(error: float, rows: int, lead: float, level: float) -> int | None:
    """About how many rows would show this lead over the margin; None if there is no lead to show.

    ``error`` is the standard error of the lead on ``rows`` rows. It shrinks with the root of the rows.
    """
    if lead <= 0 or error == 0:
        return None
    return max(math.ceil(rows * (detectable_standard_errors(level) * error / lead) ** 2), rows)
