"""Counterfactual data augmentation: copies of training rows in which one group's terms stand for another's.

    python -m pipeline.stages.swaps

Reads data/ingest/{train,unlabelled}.parquet, the rows of synonyms and back_translate, and data/identity_terms; writes
data/swaps/train.parquet (copies of labelled rows, with their label), unlabelled.parquet (copies of pool rows, if asked
for) and metrics.json. Augmented rows are copied as gold ones are: else they would outweigh the copies.

After Lu et al. 2020, "Gender Bias in Neural Natural Language Processing", with the two-way swaps of Zhao et al. 2018:
what holds for "she was late" shall hold for "he was late", so that the term itself says nothing of the label.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Swaps
from pipeline.core.stage import Metrics, Paths, main, progress
from pipeline.text import identity
from pipeline.text.identity import Axis


def run(params: Swaps, paths: Paths) -> Metrics:
    """Write the copies; none where ``variants`` is 0."""
    axes = chosen(identity.load(paths.root / "data" / identity.FOLDER), params.axes)
    gold = table.read(paths.data("ingest") / "train.parquet")
    pool = table.read(paths.data("ingest") / "unlabelled.parquet")
    augmented = [table.read(paths.data(stage) / "train.parquet") for stage in ("synonyms", "back_translate")]
    rows = copies(table.cast(pd.concat([gold, *augmented], ignore_index=True)), axes, params)
    twins = copies(pool if params.pool else pool.iloc[:0], axes, params)
    table.write(rows, paths.data("swaps") / "train.parquet")
    table.write(twins, paths.data("swaps") / "unlabelled.parquet")
    return {
        "rows": len(rows),
        "gold_rows": len(gold),
        "gold_rows_with_a_term": sum(any(axis.mentions(text) for axis in axes) for text in gold["text"]),
        "pool_rows": len(twins),
    }


def chosen(axes: dict[str, Axis], names: list[str]) -> list[Axis]:
    """The axes of these names, all without any; UserError for a name that no list has."""
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise UserError(f"swaps.axes: expected some of {', '.join(axes)}, found {', '.join(unknown)}; correct it")
    return [axes[name] for name in names or axes]


def copies(rows: pd.DataFrame, axes: list[Axis], params: Swaps) -> pd.DataFrame:
    """Up to ``variants`` distinct copies of each row, drawn with the seed and the row's id.

    A copy has the row's label and no group: whose text it would be, nobody knows.
    """
    position: list[int] = []
    texts: list[str] = []
    if params.variants:
        for i, (id, text) in enumerate(progress(zip(rows["id"], rows["text"], strict=True), "swaps", len(rows))):
            found = list(dict.fromkeys(swapped(text, axes)))
            drawn = np.random.default_rng([params.seed, int(id[:8], 16)]).permutation(len(found))[: params.variants]
            texts += [found[place] for place in sorted(drawn)]
            position += [i] * len(drawn)
    source = rows.iloc[position]
    groups = source[table.group_columns(source)].astype(object)
    groups.loc[:] = None
    return table.make(
        id=[table.row_id(f"swaps/{id}", text) for id, text in zip(source["id"], texts, strict=True)],
        source_id=source["source_id"].tolist(),
        text=texts,
        label=source["label"].tolist(),
        origin="counterfactual",
        weight=(params.weight * source["weight"]).tolist(),
        groups=groups,
    )


def swapped(text: str, axes: list[Axis]) -> Iterator[str]:
    """The text with two groups of one axis exchanged, for every pair of which it has a term."""
    for axis in axes:
        there = {mention.cell.group for mention in axis.mentions(text)}
        for one, other in combinations(axis.groups, 2):
            if there & {one, other}:
                new = axis.swap(text, one, other)
                if new != text:
                    yield new


if __name__ == "__main__":
    main(run)
