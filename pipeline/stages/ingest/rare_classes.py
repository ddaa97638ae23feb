"""Classes that a split lacks, and classes of too few rows to train and test on."""

import pandas as pd

from pipeline.stages.ingest.doubts import Doubt
from pipeline.stages.ingest.quoting import LISTED, count_rows, list_names, quote_name

UNLIKELY = 0.01  # probability that the training rows lack a class by chance, as often as it is among the other rows
FEWEST_ROWS = 3  # one to train on, one to validate and one to test with


def unlearned_class_doubts(labelled: pd.DataFrame, keep: tuple[str, ...]) -> list[Doubt]:
    """A doubt for each class of validation or test rows that no training row has: it may be a slip of spelling.

    ``labelled`` holds the usable rows with a label: split, label. The rows of such a class count as doubtful if it has
    three or more, and if so many training rows would hardly lack it by chance: among a few labels, classes are missing.
    Training rows of under two classes give no doubt: they are without gold labels on purpose, or an error of their own.
    """
    train = labelled.loc[labelled["split"].eq("train"), "label"]
    held_out = labelled.loc[labelled["split"].isin(["validation", "test"])]
    if train.nunique() < 2:
        return []
    rows, learned = held_out["label"].value_counts(), {*train, *keep}
    unlearned = sorted(str(label) for label in rows.index if label not in learned)
    chance = (1 - rows / len(held_out)) ** len(train)
    doubtful = set(rows.index[(rows >= FEWEST_ROWS) & (chance < UNLIKELY)])
    doubts = []
    for label in unlearned[:LISTED]:
        splits = " and ".join(sorted(held_out.loc[held_out["label"].eq(label), "split"].unique()))
        shown = f"{quote_name(label)} ({count_rows(int(rows[label]))})"
        sentence = f"{shown} occurs in {splits} rows, but in no training row"
        doubts.append(Doubt(sentence, (label,) if label in doubtful else ()))
    if rest := unlearned[LISTED:]:
        sentence = f"{len(rest)} more classes occur in validation or test rows, but in no training row"
        doubts.append(Doubt(sentence, tuple(label for label in rest if label in doubtful)))
    return doubts


def rare_class_notes(labelled: pd.DataFrame, is_test_given: bool) -> list[str]:
    """A sentence on the classes of under three rows, and one on the training classes that a given test split lacks.

    ``labelled`` holds the usable rows with a label: split, label. Few labels are no fault, so nothing stops for them.
    """
    rows = labelled["label"].value_counts()
    rare = sorted(str(label) for label in rows.index[rows < FEWEST_ROWS])
    notes = []
    if rare:
        classes = "class has" if len(rare) == 1 else "classes have"
        notes.append(f"{len(rare)} {classes} under {FEWEST_ROWS} labelled rows: {list_names(rare)}")
    tested = set(labelled.loc[labelled["split"].eq("test"), "label"])
    untested = sorted(set(map(str, rows.index)) - tested)
    if untested and tested and is_test_given:
        classes = "class occurs" if len(untested) == 1 else "classes occur"
        notes.append(f"{len(untested)} {classes} in no test row: {list_names(untested)}")
    return notes
