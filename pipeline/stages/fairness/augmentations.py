"""What augmentation did, by group: how many rows each gold row got, how true they stayed, and whose terms were changed.

A back-translation that makes "he" of "she" is a fault: it teaches the model about somebody else.
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

STAGES = ("synonyms", "back_translate")  # swaps exchanges terms on purpose
COLUMNS = (
    *("stage", "attribute", "group", "gold_rows", "kept", "kept_per_gold_row", "rejected", "status"),
    *("agreement", "agreement_low", "agreement_high", "gold_agreement", "terms_lost", "terms_exchanged"),
)
ALL = "all"


def measure(paths: Paths, axes: dict[str, Axis], model: "Classifier", params: Fairness) -> tuple[pd.DataFrame, Metrics]:
    """One row a stage and group, that of all rows first; and by stage how many rows changed whom they speak of.

    ``agreement`` is the share of the augmented rows to which the served model gives their label, ``gold_agreement``
    that of the gold rows that they come from: it learned from both, so the difference counts and not the height.
    ``terms_exchanged`` counts rows where one group's term became another's, ``terms_lost`` those with one fewer.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    gold = gold[gold["label"].notna()].reset_index(drop=True)
    right = agrees(model, gold)
    spoken = [whom(text, axes) for text in gold["text"]]
    parts, metrics = [], {}
    for stage in STAGES:
        rows = traced(table.read(paths.data(stage) / "train.parquet"), stage, gold)
        rows["right"] = agrees(model, rows)
        changes = [change(spoken[g], whom(text, axes)) for g, text in zip(rows["gold"], rows["text"], strict=True)]
        rows["lost"], rows["exchanged"] = ([kind == name for kind in changes] for name in ("lost", "exchanged"))
        rejected = dropped(paths, stage, gold)
        for attribute, group, member in members(gold, spoken, axes):
            parts.append(
                {"stage": stage, "attribute": attribute, "group": group}
                | tell(rows[member[rows["gold"].to_numpy()]], member, right, rejected, params)
            )
        metrics[stage] = {
            "rows": len(rows),
            "terms_exchanged": int(rows["exchanged"].sum()),
            "terms_lost": int(rows["lost"].sum()),
        }
    return pd.DataFrame(parts, columns=COLUMNS), metrics


def agrees(model: "Classifier", rows: pd.DataFrame) -> np.ndarray:
    """Whether the model gives each row its label, (rows,)."""
    if rows.empty:
        return np.zeros(0, dtype=bool)
    best = model.logits(rows["text"].tolist()).argmax(axis=1)
    return np.array(model.labels, object)[best] == rows["label"].to_numpy(object)


def whom(text: str, axes: dict[str, Axis]) -> frozenset[tuple[str, str]]:
    """The groups that a text mentions, as (axis, group)."""
    return frozenset((name, one.cell.group) for name, axis in axes.items() for one in axis.mentions(text))


def change(before: frozenset[tuple[str, str]], after: frozenset[tuple[str, str]]) -> str:
    """What became of the groups mentioned: same, exchanged (another group of the same axis came), lost or gained."""
    gone, come = before - after, after - before
    if {axis for axis, _ in gone} & {axis for axis, _ in come}:
        return "exchanged"
    return "lost" if gone else "gained" if come else "same"


def traced(rows: pd.DataFrame, stage: str, gold: pd.DataFrame) -> pd.DataFrame:
    """Augmented rows with ``gold``, the position of the row that each was made from: its id is hashed into theirs."""
    by_source: dict[str, list[int]] = {}
    for place, source in enumerate(gold["source_id"]):
        by_source.setdefault(source, []).append(place)
    ids = gold["id"].tolist()

    def origin(id: str, source: str, text: str) -> int:
        twins = by_source[source]
        return next((p for p in twins if table.row_id(f"{stage}/{ids[p]}", text) == id), twins[0])

    places = [origin(*row) for row in rows[["id", "source_id", "text"]].itertuples(index=False)]
    return rows.assign(gold=np.array(places, dtype=int))


def dropped(paths: Paths, stage: str, gold: pd.DataFrame) -> np.ndarray | None:
    """Whether each gold row's augmentation was rejected, (gold rows,); None for a stage that rejects nothing."""
    path = paths.data(stage) / "rejected.parquet"
    if not path.exists():
        return None
    return gold["id"].isin(pd.read_parquet(path, columns=["id"])["id"]).to_numpy()


def members(
    gold: pd.DataFrame, spoken: list[frozenset[tuple[str, str]]], axes: dict[str, Axis]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Attribute, group and which gold rows are in it, (gold rows,): everyone, then attributes, then mentions."""
    yield ALL, ALL, np.ones(len(gold), dtype=bool)
    for column in table.group_columns(gold):
        for group in sorted(gold[column].dropna().unique()):
            yield column.removeprefix(table.GROUP), group, gold[column].eq(group).fillna(False).to_numpy(bool)
    for name, axis in axes.items():
        for group in axis.groups:
            member = np.array([(name, group) in found for found in spoken], dtype=bool)
            if member.any():
                yield f"mention {name}", group, member


def tell(
    rows: pd.DataFrame, member: np.ndarray, right: np.ndarray, rejected: np.ndarray | None, params: Fairness
) -> Metrics:
    """The numbers of one group: ``rows`` are its augmented rows, ``member`` its gold rows."""
    low, high = statistics.wilson(float(rows["right"].sum()), len(rows), params.interval)
    known = bool(len(rows))
    return {
        "gold_rows": int(member.sum()),
        "kept": len(rows),
        "kept_per_gold_row": round(len(rows) / max(1, int(member.sum())), 6),
        "rejected": None if rejected is None else int((rejected & member).sum()),
        "status": "ok" if len(rows) >= params.min_group_size else "insufficient",
        "agreement": round(float(rows["right"].mean()), 6) if known else None,
        "agreement_low": round(low, 6) if known else None,
        "agreement_high": round(high, 6) if known else None,
        "gold_agreement": round(float(right[rows["gold"].to_numpy()].mean()), 6) if known else None,
        "terms_lost": int(rows["lost"].sum()),
        "terms_exchanged": int(rows["exchanged"].sum()),
    }
