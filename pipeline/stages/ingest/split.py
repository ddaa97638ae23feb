"""Splits that the source does not give, the k-shot protocol, and the limit on the unlabelled pool."""

import random

import pandas as pd

from pipeline.core.params import Ingest, Split


def absent(rows: pd.DataFrame, params: Ingest) -> Split:
    """The shares still to be drawn: a split that the source gives is not drawn again."""
    given = set(rows["split"])
    return params.split.model_copy(update={name: 0.0 for name in ("validation", "test") if name in given})


def draw(rows: pd.DataFrame, shares: Split, seed: int) -> pd.DataFrame:
    """Draw test, then validation rows out of the training rows, which come out in shuffled order.

    Not stratified, a test row is one of the last of the shuffled rows, as in published protocols; stratified, the
    share is taken of each label, and duplicates (rows of one ``group``) stay together. A drawn row without a label
    joins the unlabelled ones: it cannot be scored. Answers to `gleaner suggest` are never drawn: they are not a fair
    sample, and the other rows fall into the same splits whether they are there or not.
    """
    train = rows.index[rows["split"].eq("train") & rows["answers"].isna()].tolist()
    if not (shares.test or shares.validation):
        return rows
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    part = [train[i] for i in order]
    rows = pd.concat([rows.loc[part], rows.drop(index=part)])
    for split, share in (("test", shares.test), ("validation", shares.validation)):
        taken = stratified(rows.loc[part], share) if shares.stratify else part[int(len(part) * (1 - share)) :]
        rows.loc[taken, "split"] = split
        gone = set(taken)
        part = [place for place in part if place not in gone]
    bare = rows["split"].isin(["test", "validation"]) & rows.index.isin(train) & rows["label"].isna()
    rows.loc[bare, "split"] = "unlabelled"
    return rows


def stratified(rows: pd.DataFrame, share: float) -> list[int]:
    """The rows of a share of each label's groups, in row order; every label keeps a group for training."""
    labelled = rows[rows["reason"].isna() & rows["label"].notna()].drop_duplicates("group")
    taken: list[int] = []
    for _, groups in labelled.groupby("label")["group"]:
        taken += groups.tolist()[: min(round(len(groups) * share), len(groups) - 1)]
    return rows.index[rows["group"].isin(taken)].tolist()


def keep_gold(rows: pd.DataFrame, per_class: int, seed: int) -> pd.DataFrame:
    """The rows with ``per_class`` labels a class; the other training rows lose theirs.

    Training rows are numbered in their order, unusable ones included, and walked in shuffled order, so that the same
    rows are drawn whatever was rejected: an unusable one is passed over. Answers to `gleaner suggest` and
    what arrived later keep their labels.
    """
    train = rows.index[rows["split"].eq("train") & rows["answers"].isna() & ~rows["arrived"]]
    labels = rows.loc[train, "label"].where(rows.loc[train, "reason"].isna())
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    walked = labels.iloc[order].dropna()
    gold = walked[walked.groupby(walked).cumcount() < per_class].index
    return rows.assign(label=rows["label"].mask(rows.index.isin(train.difference(gold))))


def limit_pool(pool: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most ``limit`` rows of the unlabelled pool, drawn with the seed, in their order."""
    if len(pool) <= limit:
        return pool
    return pool.iloc[sorted(random.Random(seed).sample(range(len(pool)), limit))]
