"""What augmentation did, by group: rows made of each gold row, labels that still fit, identity terms that changed.

A back-translation that turns "she" into "he" is a fault: its row teaches the model about the other group.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import Fairness
from pipeline.core.stage import Metrics, Paths
from pipeline.metrics import statistics
from pipeline.text.identity import Axis

if TYPE_CHECKING:
    from pipeline.models.classifier import Classifier

STAGES = ("synonyms", "back_translate")  # not swaps: that stage exchanges terms on purpose
COLUMNS = (
    *("stage", "attribute", "group", "gold_rows", "kept", "kept_per_gold_row", "rejected", "status"),
    *("agreement", "agreement_low", "agreement_high", "gold_agreement", "terms_lost", "terms_exchanged"),
)
ALL = "all"
Groups = frozenset[tuple[str, str]]  # (axis, group)


def measure(paths: Paths, axes: dict[str, Axis], model: "Classifier", params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """A table with one row for each stage and group, all rows first, and metrics by stage.

    ``agreement`` is the share of the augmented rows to which the served model gives their label, ``gold_agreement``
    the share of the gold rows that they come from. The model learned from both, so only the difference counts, not the
    height. ``terms_exchanged`` counts rows where one group's term became another's, ``terms_lost`` rows that lost one.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    gold = gold[gold["label"].notna()].reset_index(drop=True)
    gold_agrees = agrees_with_label(model, gold)
    mentioned = [groups_mentioned(text, axes) for text in gold["text"]]
    lines, metrics = [], {}
    for stage in STAGES:
        rows = read_augmented(paths, stage, gold, mentioned, axes)
        rows["agrees"] = agrees_with_label(model, rows)
        rejected = rejected_gold_rows(paths, stage, gold)
        for attribute, group, member in gold_subgroups(gold, mentioned, axes):
            group_rows = rows[member[rows["gold"].to_numpy()]]
            counts = summarise_group(group_rows, member, gold_agrees, rejected, params)
            lines.append({"stage": stage, "attribute": attribute, "group": group} | counts)
        metrics[stage] = {
            "rows": len(rows),
            "terms_exchanged": int(rows["exchanged"].sum()),
            "terms_lost": int(rows["lost"].sum()),
        }
    return pd.DataFrame(lines, columns=COLUMNS), metrics


def read_augmented(
    paths: Paths, stage: str, gold: pd.DataFrame, mentioned: list[Groups], axes: dict[str, Axis]
) -> pd.DataFrame:
    """The rows that a stage made, each with ``gold`` (position of its gold row) and what became of its terms.

    ``mentioned`` holds the groups that each gold row mentions. The columns ``lost`` and ``exchanged`` are bool.
    """
    rows = add_gold_positions(table.read(paths.data(stage) / "train.parquet"), stage, gold)
    changes = [
        mention_change(mentioned[position], groups_mentioned(text, axes))
        for position, text in zip(rows["gold"], rows["text"], strict=True)
    ]
    for kind in ("lost", "exchanged"):
        rows[kind] = [change == kind for change in changes]
    return rows


def agrees_with_label(model: "Classifier", rows: pd.DataFrame) -> np.ndarray:
    """Whether the model gives each row its label, (rows,), bool."""
    if rows.empty:
        return np.zeros(0, dtype=bool)
    best = model.logits(rows["text"].tolist()).argmax(axis=1)
    return np.array(model.labels, object)[best] == rows["label"].to_numpy(object)


def groups_mentioned(text: str, axes: dict[str, Axis]) -> Groups:
    """The groups that a text mentions, as (axis, group)."""
    return frozenset((name, mention.cell.group) for name, axis in axes.items() for mention in axis.mentions(text))


def mention_change(before: Groups, after: Groups) -> str:
    """What became of the groups mentioned: ``exchanged``, ``lost``, ``gained`` or ``same``.

    They are exchanged where a group is gone and another of the same axis has come.
    """
    gone, come = before - after, after - before
    if {axis for axis, _ in gone} & {axis for axis, _ in come}:
        return "exchanged"
    return "lost" if gone else "gained" if come else "same"


def add_gold_positions(rows: pd.DataFrame, stage: str, gold: pd.DataFrame) -> pd.DataFrame:
    """The augmented rows with ``gold``, the position in ``gold`` of the row that each was made from.

    Several gold rows may share a ``source_id``. An augmented row's id is a hash of its gold row's id, so that the id
    tells which of them it was made from.
    """
    by_source: dict[str, list[int]] = {}
    for position, source in enumerate(gold["source_id"]):
        by_source.setdefault(source, []).append(position)
    ids = gold["id"].tolist()

    def find_origin(id: str, source: str, text: str) -> int:
        candidates = by_source[source]
        return next((p for p in candidates if table.row_id(f"{stage}/{ids[p]}", text) == id), candidates[0])

    positions = [find_origin(*row) for row in rows[["id", "source_id", "text"]].itertuples(index=False)]
    return rows.assign(gold=np.array(positions, dtype=int))


def rejected_gold_rows(paths: Paths, stage: str, gold: pd.DataFrame) -> np.ndarray | None:
    """Whether a stage rejected what it made of each gold row, (gold rows,), bool; None for one that rejects nothing."""
    path = paths.data(stage) / "rejected.parquet"
    if not path.exists():
        return None
    return gold["id"].isin(pd.read_parquet(path, columns=["id"])["id"]).to_numpy()


def gold_subgroups(
    gold: pd.DataFrame, mentioned: list[Groups], axes: dict[str, Axis]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Each subgroup of gold rows: attribute, group, and which rows are in it, (gold rows,), bool.

    All rows come first, then the groups of each attribute, then the rows that mention each group.
    """
    yield ALL, ALL, np.ones(len(gold), dtype=bool)
    for column in table.group_columns(gold):
        for group in sorted(gold[column].dropna().unique()):
            yield column.removeprefix(table.GROUP_PREFIX), group, gold[column].eq(group).fillna(False).to_numpy(bool)
    for name, axis in axes.items():
        for group in axis.groups:
            member = np.array([(name, group) in groups for groups in mentioned], dtype=bool)
            if member.any():
                yield f"mention {name}", group, member


def summarise_group(
    rows: pd.DataFrame, member: np.ndarray, gold_agrees: np.ndarray, rejected: np.ndarray | None, params: Fairness
) -> Metrics:
    """The counts and agreements of one group.

    ``rows`` are the group's augmented rows. The arrays are (gold rows,), bool: ``member`` marks the group's gold rows,
    ``gold_agrees`` those to which the model gives their label, ``rejected`` those whose augmentation was rejected.
    """
    low, high = statistics.wilson_interval(float(rows["agrees"].sum()), len(rows), params.interval)
    any_rows = bool(len(rows))
    return {
        "gold_rows": int(member.sum()),
        "kept": len(rows),
        "kept_per_gold_row": round(len(rows) / max(1, int(member.sum())), 6),
        "rejected": None if rejected is None else int((rejected & member).sum()),
        "status": "ok" if len(rows) >= params.min_group_size else "insufficient",
        "agreement": round(float(rows["agrees"].mean()), 6) if any_rows else None,
        "agreement_low": round(low, 6) if any_rows else None,
        "agreement_high": round(high, 6) if any_rows else None,
        "gold_agreement": round(float(gold_agrees[rows["gold"].to_numpy()].mean()), 6) if any_rows else None,
        "terms_lost": int(rows["lost"].sum()),
        "terms_exchanged": int(rows["exchanged"].sum()),
    }
