"""Drawn splits, the protocol of k labels a class, and the limit of the unlabelled pool."""

import random

import pandas as pd

from pipeline.core.params import Ingest, Split


def missing_shares(rows: pd.DataFrame, params: Ingest) -> Split:
    """The shares of the splits that have to be drawn; 0 for a split that the source already has."""
    existing = set(rows["split"])
    return params.split.model_copy(update={name: 0.0 for name in ("validation", "test") if name in existing})


def draw_splits(rows: pd.DataFrame, shares: Split, seed: int) -> pd.DataFrame:
    """The rows with test rows, then validation rows drawn from the training rows, which come out in shuffled order.

    Without ``shares.stratify``, the last of the shuffled rows are drawn, as in published protocols. With it, the share
    is drawn of each label, and duplicates (rows of one ``group``) stay together. A drawn row without a label cannot be
    scored, so it joins the unlabelled pool. Answers to `gleaner suggest` are never drawn: they are no fair sample. The
    other rows are drawn alike whether there are answers or not.
    """
    train = rows.index[rows["split"].eq("train") & rows["answers"].isna()].tolist()
    if not (shares.test or shares.validation):
        return rows
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    remaining = [train[i] for i in order]
    rows = pd.concat([rows.loc[remaining], rows.drop(index=remaining)])
    for split, share in (("test", shares.test), ("validation", shares.validation)):
        if shares.stratify:
            drawn = draw_stratified(rows.loc[remaining], share)
        else:
            drawn = remaining[int(len(remaining) * (1 - share)) :]
        rows.loc[drawn, "split"] = split
        already_drawn = set(drawn)
        remaining = [row for row in remaining if row not in already_drawn]
    without_label = rows["split"].isin(["test", "validation"]) & rows.index.isin(train) & rows["label"].isna()
    rows.loc[without_label, "split"] = "unlabelled"
    return rows


def draw_stratified(rows: pd.DataFrame, share: float) -> list[int]:
    """The index of the rows in the first groups of each label, up to a ``share`` of its groups, in row order.

    Every label keeps at least one group for training.
    """
    labelled = rows[rows["reason"].isna() & rows["label"].notna()].drop_duplicates("group")
    drawn: list[int] = []
    for _, groups in labelled.groupby("label")["group"]:
        drawn += groups.tolist()[: min(round(len(groups) * share), len(groups) - 1)]
    return rows.index[rows["group"].isin(drawn)].tolist()


def keep_labels_per_class(rows: pd.DataFrame, per_class: int, seed: int) -> pd.DataFrame:
    """The rows with ``per_class`` labels a class; all other training rows lose their label.

    The training rows are walked in shuffled order and unusable ones are skipped, so the same rows keep their label
    whatever was rejected. Answers to `gleaner suggest` and arrivals keep their labels.
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
