"""Candidates for new classes on the sheet of `gleaner suggest`: clusters of texts of the pool that get no label."""

import pandas as pd

from pipeline.core.stage import Paths
from pipeline.text.typical_words import typical_words

WORDS = 5  # of a candidate
ROWS = 3  # of a candidate that the sheet gets, the most typical ones


def read_new_classes(pool: pd.DataFrame, paths: Paths) -> pd.DataFrame:
    """The rows of ``pool`` that belong to a candidate, the most typical ones first: its columns, and ``candidate``.

    There is none where the last run made no such table.
    """
    path = paths.data("export") / "new_classes.parquet"
    if not path.exists():
        return pool.head(0).assign(candidate=0)
    return pd.read_parquet(path)[["candidate", "id"]].merge(pool, on="id", validate="one_to_one")


def rows_to_label(candidates: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The most typical rows of each candidate, without those that are ``chosen`` already."""
    typical = candidates.groupby("candidate").head(ROWS)
    return typical[~typical["id"].isin(chosen["id"])].reset_index(drop=True)


def describe_candidates(candidates: pd.DataFrame, gold: pd.DataFrame) -> list[str]:
    """Lines on the candidates: rows, the words that at least three rows share, and ids of the most typical rows.

    Words are typical beside the ``gold`` rows of each label.
    """
    groups = [rows for _, rows in candidates.groupby("candidate", sort=True)]
    if not groups:
        return []
    named = [rows["text"].tolist() for _, rows in gold.groupby("label")]
    words = typical_words([rows["text"].tolist() for rows in groups], named, WORDS)
    lines = [
        f"  {int(rows['candidate'].iloc[0]):>2}  {len(rows):>4} rows: {', '.join(typical) or 'no common word'}"
        f" ({', '.join(rows['id'].head(ROWS))})"
        for rows, typical in zip(groups, words, strict=True)
    ]
    return [f"{len(groups)} candidates for a new class, whose texts get no label and resemble each other:", *lines]


def why(candidates: pd.DataFrame) -> list[str]:
    """What the sheet says of each row of a candidate."""
    return [f"candidate {number} for a new class" for number in candidates["candidate"]]
