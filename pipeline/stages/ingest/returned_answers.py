"""Answers to `gleaner suggest` that came back: rows with the id of the pool row that they are about."""

import pandas as pd

from pipeline.core import table
from pipeline.core.printable import print_note


def unescape_answers(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows, answers without the apostrophes that a CSV file for people puts before some texts and labels.

    A text that already has the id in ``answers`` came back as it was, for example through Label Studio. ``source`` is
    the name of the data.
    """
    rows = rows.copy()
    is_answer = rows["answers"].notna() & rows["reason"].isna()
    rows.loc[is_answer, "text"] = [
        text if table.row_id(source, text) == id else table.strip_apostrophe(text)
        for text, id in zip(rows.loc[is_answer, "text"], rows.loc[is_answer, "answers"], strict=True)
    ]
    rows.loc[is_answer, "label"] = rows.loc[is_answer, "label"].map(table.strip_apostrophe, na_action="ignore")
    return rows


def inherit_groups(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, answers with the group attributes of the row of the same id, which annotators are not shown."""
    is_answer = rows["answers"].notna()
    if not is_answer.any():
        return rows
    for name in table.group_columns(rows):
        group_by_id = rows[~is_answer].groupby("id")[name].first()
        rows = rows.assign(**{name: rows[name].mask(is_answer & rows[name].isna(), rows["id"].map(group_by_id))})
    return rows


def report_answers(rows: pd.DataFrame) -> None:
    """Print on stderr how many answers came back, and what may be slips: edited texts, labels that no other row has.

    ``rows`` have their ids. No text is printed.
    """
    is_answer = rows["answers"].notna() & rows["reason"].isna()
    if not is_answer.any():
        return
    is_labelled = is_answer & rows["label"].notna()
    is_new_text = is_labelled & ~rows["id"].isin(rows.loc[~rows["answers"].notna(), "id"])
    line = f"answers: {int(is_labelled.sum())} labels for {int(is_answer.sum())} rows, suggested or corrected"
    if is_new_text.any():
        line += f"; {int(is_new_text.sum())} of texts that are in no other file (edited, or seen by the service alone)"
        line += ", taken as new rows"
    print_note(line)
    new_labels = sorted(set(rows.loc[is_labelled, "label"]) - set(rows.loc[~is_answer, "label"].dropna()))
    if new_labels and len(new_labels) < rows.loc[is_labelled, "label"].nunique():
        print_note(f"answers: no other file has the label {', '.join(new_labels)}; correct it if it is a slip")
