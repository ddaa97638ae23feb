"""Rows that are set aside, by file: all of them are told, and too many that cannot be read stop the run."""

import pandas as pd

from pipeline.core import annotation_fields
from pipeline.core.errors import combine_errors
from pipeline.core.params import Ingest
from pipeline.sources import label_cells
from pipeline.stages.ingest import labels

# Reasons that are no loss by a fault: people or params chose them, or the text is in another row.
CHOSEN = {*annotation_fields.UNDECIDED, label_cells.SEVERAL, labels.DROPPED, labels.NO_LABEL}
FEWEST_LOST = 10  # rows; fewer than these never stop a run, because in a small file one row is a large share
MOST_FILES = 10  # with a line of their own


def check_rejected_share(rows: pd.DataFrame, params: Ingest) -> None:
    """Raises UserError if more than ``ingest.max_rejected_share`` of a file's rows are lost, a line for each such file.

    ``rows`` are those of the source, before duplicates are rejected: file, row, reason. A row is lost if it cannot be
    read; a row that annotators or params left out is not.
    """
    is_lost = rows["reason"].notna() & ~rows["reason"].isin(CHOSEN)
    faults = []
    lost_rows = rows.loc[is_lost, ["file", "row", "reason"]].astype({"file": "str"})
    for file, lost in lost_rows.groupby("file", sort=False):
        read = int(rows["file"].eq(file).sum())
        if len(lost) >= FEWEST_LOST and len(lost) > params.max_rejected_share * read:
            faults.append(
                f"{file}: expected at most {params.max_rejected_share:.0%} of the rows to be unusable "
                f"(ingest.max_rejected_share), found {describe_rejections(lost, read)}, the first in row "
                f"{lost['row'].iloc[0]}; correct the file, or ingest.format, ingest.encoding and ingest.delimiter, or "
                "raise that share"
            )
    if faults:
        raise combine_errors(faults)


def rejection_lines(rows: pd.DataFrame) -> list[str]:
    """A line for each file of which rows are set aside, those with most such rows first; later ones share a line."""
    set_aside = rows.loc[rows["reason"].notna(), ["file", "reason"]].astype({"file": "str"})
    lost = set_aside["file"].value_counts(sort=True)
    read = rows["file"].value_counts()
    lines = [
        f"{file}: {describe_rejections(set_aside[set_aside['file'].eq(file)], int(read[file]))}"
        for file in lost.index[:MOST_FILES]
    ]
    rest = list(lost.index[MOST_FILES:])
    if rest:
        of_rest = set_aside[set_aside["file"].isin(rest)]
        lines.append(f"{len(rest)} more files: {describe_rejections(of_rest, int(read[rest].sum()))}")
    return lines


def describe_rejections(set_aside: pd.DataFrame, read: int) -> str:
    """The rows that are set aside in words, such as "80 of 160 rows set aside: 80 broken quotes"."""
    reasons = set_aside["reason"].value_counts()
    by_count = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{count} {reason}" for reason, count in by_count)
    return f"{len(set_aside)} of {read} rows set aside: {why}"
