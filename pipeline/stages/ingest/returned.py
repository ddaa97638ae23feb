"""Answers that come back from `gleaner suggest`: rows that carry the id of the pool row that they are about."""

import sys

import pandas as pd

from pipeline.core import table


def restore(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Answers with text and label as they were before a CSV file for people put an apostrophe before them.

    A text that has the id it was asked under came back as it went out, e.g. by way of Label Studio.
    """
    rows = rows.copy()
    back = rows["answers"].notna() & rows["reason"].isna()
    rows.loc[back, "text"] = [
        text if table.row_id(source, text) == id else table.as_written(text)
        for text, id in zip(rows.loc[back, "text"], rows.loc[back, "answers"], strict=True)
    ]
    rows.loc[back, "label"] = rows.loc[back, "label"].map(table.as_written, na_action="ignore")
    return rows


def inherit_groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Answers with the group attributes of the row of the same id: who labels is not shown them."""
    back = rows["answers"].notna()
    for name in table.group_columns(rows):
        known = rows[~back].groupby("id")[name].first()
        rows = rows.assign(**{name: rows[name].mask(back & rows[name].isna(), rows["id"].map(known))})
    return rows


def announce(rows: pd.DataFrame) -> None:
    """Say on stderr how many answers came back, and what looks like a mistake in them: labels that no other row has.

    ``rows`` have their ids; no text is shown.
    """
    back = rows["answers"].notna() & rows["reason"].isna()
    if not back.any():
        return
    labelled = back & rows["label"].notna()
    strangers = labelled & ~rows["id"].isin(rows.loc[~rows["answers"].notna(), "id"])
    line = f"answers: {int(labelled.sum())} labels for {int(back.sum())} suggested rows"
    if strangers.any():
        line += f"; {int(strangers.sum())} of texts that are in no other file (edited?), taken as new rows"
    print(line, file=sys.stderr)
    new = sorted(set(rows.loc[labelled, "label"]) - set(rows.loc[~back, "label"].dropna()))
    if new and len(new) < rows.loc[labelled, "label"].nunique():
        print(f"answers: no other file has the label {', '.join(new)}; correct it if it is a slip", file=sys.stderr)
