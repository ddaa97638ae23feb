"""Counterfactual data augmentation: copies of training rows with the terms of one group exchanged for another's.

    python -m pipeline.stages.swaps

Reads data/ingest/{train,unlabelled}.parquet, the rows of synonyms and back_translate, and data/identity_terms; writes
data/swaps/train.parquet (copies of labelled rows, with their label), unlabelled.parquet (copies of pool rows, if
``swaps.pool`` is true) and metrics.json. Augmented rows are copied like gold ones; otherwise they would outweigh the
copies.

The method is that of Lu et al. (2020), "Gender Bias in Neural Natural Language Processing", with the two-way swaps of
Zhao et al. (2018), "Gender Bias in Coreference Resolution". A model that sees "she was late" and "he was late" with one
label learns that the term does not decide the label.
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
    """Write the copies, none if ``variants`` is 0. Raises UserError if ``axes`` names one that has no list."""
    axes = select_axes(identity.load(paths.root / "data" / identity.FOLDER), params.axes)
    gold = table.read(paths.data("ingest") / "train.parquet")
    augmented = [table.read(paths.data(stage) / "train.parquet") for stage in ("synonyms", "back_translate")]
    rows = make_copies(table.to_schema(pd.concat([gold, *augmented], ignore_index=True)), axes, params)
    # A pool of millions of rows is read only where it is copied.
    pool = table.read(paths.data("ingest") / "unlabelled.parquet") if params.pool else table.empty_like(gold)
    pool_rows = make_copies(pool, axes, params)
    table.write(rows, paths.data("swaps") / "train.parquet")
    table.write(pool_rows, paths.data("swaps") / "unlabelled.parquet")
    return {
        "rows": len(rows),
        "gold_rows": len(gold),
        "gold_rows_with_a_term": sum(any(axis.mentions(text) for axis in axes) for text in gold["text"]),
        "pool_rows": len(pool_rows),
    }


def select_axes(axes: dict[str, Axis], names: list[str]) -> list[Axis]:
    """The axes of these names, or all axes if there are no names. Raises UserError for a name that is no axis."""
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise UserError(f"swaps.axes: expected some of {', '.join(axes)}, found {', '.join(unknown)}; correct it")
    return [axes[name] for name in names or axes]


def make_copies(rows: pd.DataFrame, axes: list[Axis], params: Swaps) -> pd.DataFrame:
    """Up to ``variants`` distinct copies of each row, drawn with the seed and the row's id.

    A copy has the label of its row. It has no group: nobody knows who would have written its text.
    """
    source_positions: list[int] = []
    texts: list[str] = []
    if params.variants:
        for i, (id, text) in enumerate(progress(zip(rows["id"], rows["text"], strict=True), "swaps", len(rows))):
            variants = list(dict.fromkeys(swapped_texts(text, axes)))
            rng = np.random.default_rng([params.seed, int(id[:8], 16)])
            drawn = rng.permutation(len(variants))[: params.variants]
            texts += [variants[variant] for variant in sorted(drawn)]
            source_positions += [i] * len(drawn)
    source = rows.iloc[source_positions]
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


def swapped_texts(text: str, axes: list[Axis]) -> Iterator[str]:
    """The text with two groups of an axis exchanged, for each pair of groups of which it has a term."""
    for axis in axes:
        mentioned = {mention.cell.group for mention in axis.mentions(text)}
        for first, second in combinations(axis.groups, 2):
            if mentioned & {first, second}:
                swapped = axis.swap(text, first, second)
                if swapped != text:
                    yield swapped


if __name__ == "__main__":
    main(run)
