"""What was put right because it is certain: spellings of one label or group that were joined, a line each."""

import pandas as pd

from pipeline.core.params import Ingest
from pipeline.core.table import GROUP_PREFIX
from pipeline.sources.spelling import plain_spelling
from pipeline.stages.ingest.quoting import LISTED, count_rows, quote_name


def spelling_lines(read: pd.DataFrame, settled: pd.DataFrame, params: Ingest) -> list[str]:
    """A line for each label and group value that is written in another way than it was read.

    ``read`` and ``settled`` are the same rows before and after the rules of params; what params rename is left out.
    """
    lines = changed_spellings(read["label"], settled["label"], set(params.labels.rename), "ingest.labels")
    for attribute in params.columns.groups:
        name, renamed = GROUP_PREFIX + attribute, set(params.group_values.rename.get(attribute, {}))
        key = f"ingest.group_values, attribute {quote_name(attribute)}"
        lines += changed_spellings(read[name], settled[name], renamed, key)
    return lines


def changed_spellings(before: "pd.Series[str]", after: "pd.Series[str]", renamed: set[str], key: str) -> list[str]:
    """A line for each value of ``after`` that was spelled otherwise in ``before``, where no rename made it so."""
    is_changed = before.notna() & after.notna() & before.ne(after) & ~before.isin(list(renamed))
    pairs = pd.DataFrame({"before": before[is_changed], "after": after[is_changed]}).value_counts(sort=False)
    spellings: dict[str, list[str]] = {}
    for (old, new), count in pairs.items():
        if plain_spelling(old) == plain_spelling(new):
            spellings.setdefault(new, []).append(f"{quote_name(old)} ({count_rows(int(count))})")
    return [describe_joined(old, new, key) for new, old in spellings.items()]


def describe_joined(old: list[str], new: str, key: str) -> str:
    """The line on the spellings ``old``, quoted and with their rows, that became ``new``."""
    listed = ", ".join(old[:LISTED]) + (" and more" if len(old) > LISTED else "")
    is_or_are, differ = ("is", "it differs") if len(old) == 1 else ("are", "they differ")
    return f"{key}: {listed} {is_or_are} taken for {quote_name(new)}, from which {differ} in spelling only"
