"""Drawn splits, the protocol of k labels a class, and the limit of the unlabelled pool."""

import random

import numpy as np
import pandas as pd

from pipeline.core.params import Ingest, Split
from pipeline.sources.source import SPLITS


def missing_shares(rows: pd.DataFrame, params: Ingest) -> Split:
    """The shares of the splits that have to be drawn; 0 for a split that the source already has."""
    existing = set(rows["split"].unique())
    return params.split.model_copy(update={name: 0.0 for name in ("validation", "test") if name in existing})


def draw_splits(rows: pd.DataFrame, shares: Split, seed: int) -> pd.DataFrame:
    """The rows with test rows, then validation rows drawn from the training rows, which come out in shuffled order.

    Without ``shares.stratify``, the last of the shuffled rows are drawn, as in published protocols. With it, the share
    is drawn of each label, and duplicates (rows of one ``group``) stay together. A drawn row without a label cannot be
    scored, so it joins the unlabelled pool. Answers to `gleaner suggest` are never drawn: they are no fair sample. The
    other rows are drawn alike whether there are answers or not.
    """
    if not (shares.test or shares.validation):
        return rows
    is_train = (rows["split"].eq("train") & rows["answers"].isna()).to_numpy()
    train = np.flatnonzero(is_train)[shuffled_order(int(is_train.sum()), seed)]
    rows = rows.iloc[np.concatenate([train, np.flatnonzero(~is_train)])]
    split = np.array(rows["split"].cat.codes, dtype=np.int8)
    remaining = np.arange(len(train))
    for name, share in (("test", shares.test), ("validation", shares.validation)):
        if shares.stratify:
            drawn = remaining[is_drawn_stratified(rows.iloc[remaining], share)]
        else:
            drawn = remaining[int(len(remaining) * (1 - share)) :]
        split[drawn] = SPLITS.index(name)
        remaining = np.setdiff1d(remaining, drawn, assume_unique=True)
    is_held_out = np.isin(split, [SPLITS.index("test"), SPLITS.index("validation")])
    is_held_out[len(train) :] = False
    split[is_held_out & rows["label"].isna().to_numpy()] = SPLITS.index("unlabelled")
    return rows.assign(split=pd.Categorical.from_codes(split, categories=pd.Index(SPLITS)))


def shuffled_order(count: int, seed: int) -> np.ndarray:
    """The numbers below ``count``, (count,) int64, in the order of published protocols: Python's own shuffle."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return np.array(order, dtype=np.int64)


def is_drawn_stratified(rows: pd.DataFrame, share: float) -> np.ndarray:
    """Whether each row is in the first groups of each label, up to a ``share`` of its groups, (rows,) bool.

    Every label keeps at least one group for training.
    """
    is_labelled = rows["reason"].isna() & rows["label"].notna()
    labelled = rows.loc[is_labelled, ["label", "group"]].drop_duplicates("group")
    drawn: list[int] = []
    for _, groups in labelled.groupby("label")["group"]:
        drawn += groups.tolist()[: min(round(len(groups) * share), len(groups) - 1)]
    return rows["group"].isin(drawn).to_numpy()


def keep_labels_per_class(rows: pd.DataFrame, per_class: int, seed: int) -> pd.DataFrame:
    """The rows with ``per_class`` labels a class; all other training rows lose their label.

    The training rows are walked in shuffled order and unusable ones are skipped, so the same rows keep their label
    whatever was rejected. Answers to `gleaner suggest` and arrivals keep their labels.
    """
    is_train = (rows["split"].eq("train") & rows["answers"].isna() & ~rows["arrived"]).to_numpy()
    train = np.flatnonzero(is_train)
    walked = train[shuffled_order(len(train), seed)]
    is_labelled = (rows["label"].notna() & rows["reason"].isna()).to_numpy()
    walked = walked[is_labelled[walked]]
    labels = rows["label"].iloc[walked]
    gold = walked[(labels.groupby(labels).cumcount() < per_class).to_numpy()]
    loses_label = is_train.copy()
    loses_label[gold] = False
    return rows.assign(label=rows["label"].mask(loses_label))


def limit_pool(pool: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most ``limit`` rows of the unlabelled pool, drawn with the seed, in their order."""
    if len(pool) <= limit:
        return pool
    return pool.iloc[sorted(random.Random(seed).sample(range(len(pool)), limit))]
