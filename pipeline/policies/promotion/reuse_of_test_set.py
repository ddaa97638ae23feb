"""Reuse of a test set: which test sets count as the same one, and how far judgements have used one up."""

from collections.abc import Sequence

from pipeline.core.params import Promotion
from pipeline.policies.promotion.alpha_spending import detectable_lead, level_of_judgement, rows_needed
from pipeline.policies.promotion.comparison import LeadInterval
from pipeline.policies.promotion.verdict import TestSetReuse

SKETCH = 128  # row ids kept of each test set; the log stores so many, so that a change would break comparisons with it


def sketch_rows(ids: Sequence[str]) -> list[str]:
    """The smallest ids of a test set. Ids are hashes, so these are a random sample, the same for the same rows."""
    return sorted(set(ids))[:SKETCH]


def share_of_common_rows(first: Sequence[str], second: Sequence[str]) -> float:
    """Share, 0 to 1, of the rows of either test set that both have, by their sketches (bottom-k, Cohen 1997).

    It is exact for up to 128 rows. For more rows its standard error is about 0.04.
    """
    whole = max(len(first), len(second)) < SKETCH
    sample = sorted({*first, *second})[: None if whole else SKETCH]
    return sum(row in first and row in second for row in sample) / len(sample) if sample else 0.0


def measure_reuse(lead: LeadInterval, rows: int, judgement: int, limits: Promotion) -> TestSetReuse:
    """How far the ``judgement``-th judgement uses up a test set of ``rows`` rows, and whether fresh labels are due."""
    levels = [level_of_judgement(limits.confidence, number) for number in (judgement, judgement + 1)]
    now, next_time = (detectable_lead(lead.error, rows, level) for level in levels)
    too_blunt = limits.max_detectable is not None and next_time > limits.max_detectable
    return TestSetReuse(
        judgement=judgement,
        max_judgements=limits.max_judgements,
        level=levels[0],
        detectable=now,
        next_detectable=next_time,
        rows_needed=rows_needed(lead.error, rows, lead.difference - limits.margin, levels[0]),
        fresh_labels_due=too_blunt or judgement >= limits.max_judgements,
    )
